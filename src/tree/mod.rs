//! Names and inodes: local truth over remote truth.
//!
//! **Contract.** What was changed through this mount is seen at once and as it was left; what the service has is seen
//! as it was when last asked, at most `dir_cache` ago. A name that the service would file under another spelling is an
//! alias of that one ([`Service::canonical_name`]): one inode, listed once.
//! While the service is away, what was known of names counts (`away.rs`).
//! A listing never shows a name that cannot be opened.
//!
//! **Order.** The lock is held for memory work only. Requests that fix or change a name hold the
//! [`Place`](crate::upload::Place) of their file, so that a commit, a rename and a removal of one file exclude one another.
//!
//! **Failure.** A request that fails changes nothing here; a request in doubt makes the entry stale, so that the next
//! look asks again.

mod away;
pub mod change;
mod entry;
mod listing;
mod parked;
mod recovery;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use lru::LruCache;

use self::away::{Trust, Way};
use self::entry::Entry;
pub use self::entry::{Attr, Defaults, Ino, Overrides, ROOT};
pub use self::listing::Listed;
use crate::error::{Error, Kind, Result};
use crate::file::{File, Files};
use crate::path::{self, RemotePath};
use crate::service::layer::Reach;
use crate::service::{Node, NodeKind, Service};

/// How long "there is no such file" is believed: long enough for the lookups around one `open`, short enough that a
/// file another client makes appears at once.
const MISS: Duration = Duration::from_secs(1);

/// Fewer misses than this are not worth looking through.
const MISSES_MIN: usize = 1024;

/// Names and inodes of a mount. See the module.
pub struct Tree {
    files: Arc<Files>,
    defaults: Defaults,
    /// How long the service's word on names is believed.
    dir_cache: Duration,
    way: Way,
    /// Itself, for work that outlives the request that asked for it.
    this: Weak<Tree>,
    inner: Mutex<Inner>,
}

/// Aliases that are remembered; one that is forgotten is asked for again.
const ALIASES_MAX: NonZeroUsize = NonZeroUsize::new(4096).expect("not zero");

struct Inner {
    entries: HashMap<Ino, Entry>,
    /// By directory and canonical name.
    names: HashMap<(Ino, String), Ino>,
    /// Names that are others to the service: what they are there. By directory, canonical.
    aliases: LruCache<(Ino, String), String>,
    /// Names known not to exist, and since when; also what was removed here, so that a listing that was under way
    /// does not bring it back.
    misses: HashMap<(Ino, String), Instant>,
    /// The old ones among `misses` are thrown out when there are so many.
    misses_max: usize,
    next: Ino,
}

/// What can be said about a name without asking.
enum Known {
    /// This is it.
    Entry(Ino),
    /// There is no such name.
    Absent,
    /// The service must be asked.
    Ask,
}

impl Tree {
    /// The tree of a mount; the service's word is believed for `dir_cache`, and longer while `reach` says that it is away.
    pub fn new(files: Arc<Files>, defaults: Defaults, dir_cache: Duration, reach: Arc<Reach>) -> Arc<Self> {
        let root = Entry::new(ROOT, String::new(), NodeKind::Directory);
        let inner = Inner {
            entries: HashMap::from([(ROOT, root)]),
            names: HashMap::new(),
            aliases: LruCache::new(ALIASES_MAX),
            misses: HashMap::new(),
            misses_max: MISSES_MIN,
            next: ROOT + 1,
        };
        let way = Way::new(reach);
        Arc::new_cyclic(|this| Tree { files, defaults, dir_cache, way, this: this.clone(), inner: Mutex::new(inner) })
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn service(&self) -> &Arc<dyn Service> {
        self.files.uploads().service()
    }

    /// The name under which the service files `name`.
    ///
    /// # Errors
    /// `NameTooLong`, `BadName`: no service could have an entry of that name.
    fn canonical(&self, name: &str) -> Result<String> {
        if name.len() > path::NAME_BYTES_MAX {
            return Err(Error::new(Kind::NameTooLong, "lookup", "a name has at most 255 bytes"));
        }
        if !path::is_entry_name(name) {
            return Err(Error::new(Kind::BadName, "lookup", "a name cannot hold control characters"));
        }
        Ok(self.service().canonical_name(name))
    }

    /// Whether `name` is another spelling of what the service files it under; the kernel must not remember it.
    pub fn is_alias(&self, name: &str) -> bool {
        self.service().canonical_name(name) != name
    }

    /// The spelling of `name` that the service uses.
    pub fn canonical_spelling(&self, name: &str) -> String {
        self.service().canonical_name(name)
    }

    /// What is known of an entry, without asking.
    pub fn attr(&self, ino: Ino) -> Result<Attr> {
        self.inner().attr(ino, &self.defaults)
    }

    /// What is known of an entry if it is fresh enough.
    pub fn attr_now(&self, ino: Ino) -> Option<Result<Attr>> {
        let inner = self.inner();
        let Some(entry) = inner.entries.get(&ino) else { return Some(Err(stale())) };
        let fresh = ino == ROOT || entry.removed || entry.is_local() || entry.fetched.elapsed() < self.dir_cache;
        fresh.then(|| Ok(entry.attr(ino, &self.defaults)))
    }

    /// The entry, asked from the service where what is known is too old.
    ///
    /// # Errors
    /// `NotFound`, or whatever the service says.
    pub async fn attr_fresh(&self, ino: Ino) -> Result<Attr> {
        if let Some(known) = self.attr_now(ino) {
            return known;
        }
        self.refresh(ino).await?;
        self.attr(ino)
    }

    /// The entry of `name` in `parent`, if that can be said without asking.
    pub fn lookup_now(&self, parent: Ino, name: &str) -> Option<Result<Attr>> {
        let canonical = match self.canonical(name) {
            Ok(canonical) => canonical,
            // Whoever only looks finds nothing; whoever makes it is told why not.
            Err(error) if error.kind == Kind::BadName => return Some(Err(not_found())),
            Err(error) => return Some(Err(error)),
        };
        let inner = self.inner();
        match inner.known(parent, &canonical, self.dir_cache, MISS) {
            Known::Entry(ino) => Some(inner.attr(ino, &self.defaults)),
            Known::Absent => Some(Err(not_found())),
            Known::Ask => None,
        }
    }

    /// The entry of `name` in `parent`.
    ///
    /// # Errors
    /// `NotFound`, or whatever the service says.
    pub async fn lookup(&self, parent: Ino, name: &str) -> Result<Attr> {
        if let Some(known) = self.lookup_now(parent, name) {
            return known;
        }
        let canonical = self.canonical(name)?;
        let ino = self.look(parent, &canonical, MISS, Trust::Memory).await?.ok_or_else(not_found)?;
        self.attr(ino)
    }

    /// Asks the service for a name and takes its word.
    async fn ask(&self, parent: Ino, canonical: &str) -> Result<Ino> {
        let path = self.path(parent)?.join(canonical);
        let asked = Instant::now();
        match self.service().stat(&path).await {
            Ok(node) => {
                let real = self.real_name(canonical, &node);
                let mut inner = self.inner();
                inner.learn(parent, canonical, &real);
                Ok(inner.upsert(parent, real, node, asked))
            }
            Err(error) => {
                if error.kind == Kind::NotFound {
                    self.inner().forget_remote(parent, canonical, asked);
                }
                Err(error)
            }
        }
    }

    /// The canonical name of what was asked for as `canonical`: services that make names of names tell it.
    fn real_name(&self, canonical: &str, node: &Node) -> String {
        match path::is_entry_name(&node.name) {
            true => self.service().canonical_name(&node.name),
            false => canonical.to_owned(),
        }
    }

    /// Asks the service for an entry again; while it is away, what is known of the entry goes on to count.
    async fn refresh(&self, ino: Ino) -> Result<()> {
        let (parent, name) = {
            let inner = self.inner();
            let entry = inner.entries.get(&ino).ok_or_else(stale)?;
            (entry.parent, entry.name.clone())
        };
        let tree = self.this();
        self.unless_away(true, async move { tree?.ask(parent, &name).await }).await.map(drop)
    }

    /// The kernel learns of the entry: one reference more, until it forgets.
    pub fn refer(&self, ino: Ino) {
        if let Some(entry) = self.inner().entries.get_mut(&ino) {
            entry.lookups += 1;
        }
    }

    /// The directory that holds an entry; the root holds itself.
    pub fn parent(&self, ino: Ino) -> Ino {
        self.inner().entries.get(&ino).map_or(ROOT, |entry| entry.parent)
    }

    /// The kernel drops `count` references.
    pub fn forget(&self, ino: Ino, count: u64) {
        self.inner().unrefer(ino, count);
    }

    /// The path of an entry on the service.
    ///
    /// # Errors
    /// `NotFound` for an inode that is gone.
    pub fn path(&self, ino: Ino) -> Result<RemotePath> {
        self.inner().path(ino).ok_or_else(stale)
    }

    /// The file of an inode.
    ///
    /// # Errors
    /// `IsDirectory`; `NotFound` for an inode that is gone.
    pub fn file(&self, ino: Ino) -> Result<Arc<File>> {
        let mut inner = self.inner();
        let path = inner.path(ino).ok_or_else(stale)?;
        let entry = inner.entries.get_mut(&ino).ok_or_else(stale)?;
        if entry.kind == NodeKind::Directory {
            return Err(Error::new(Kind::IsDirectory, "open", "it is a directory"));
        }
        let file = entry.file.get_or_insert_with(|| self.files.file(ino, path, entry.remote.clone()));
        Ok(file.clone())
    }

    /// The file of an inode, if it was ever opened.
    pub fn opened_file(&self, ino: Ino) -> Option<Arc<File>> {
        self.inner().entries.get(&ino)?.file.clone()
    }

    /// The service's version of an entry.
    pub fn node(&self, ino: Ino) -> Option<Node> {
        self.inner().entries.get(&ino)?.node()
    }

    /// Opens a file as the service has it now (close-to-open): another client's change is seen.
    ///
    /// # Errors
    /// `NotFound` when it is gone by now, `Conflict` when it was removed under another spelling of its name, so that the
    /// kernel looks the name up again; or whatever the service says.
    pub async fn file_for_open(&self, ino: Ino) -> Result<Arc<File>> {
        let gone = |entry: &Entry| entry.removed && !entry.file.as_ref().is_some_and(|file| file.is_open());
        if self.inner().entries.get(&ino).is_some_and(gone) {
            return Err(Error::new(Kind::Conflict, "open", "the file was removed"));
        }
        let asked_lately = |entry: &Entry| entry.removed || entry.is_local() || entry.fetched.elapsed() < MISS;
        let known = self.inner().entries.get(&ino).map(asked_lately).ok_or_else(stale)?;
        if !known {
            self.refresh(ino).await?;
        }
        let file = self.file(ino)?;
        if self.is_away() {
            file.doubt_base();
        }
        Ok(file)
    }

    /// Whether the file of an inode may be written; see [`Service::admit`].
    ///
    /// # Errors
    /// What the service has against it.
    pub async fn admit(&self, file: &File) -> Result<()> {
        // Nothing is asked about a file that is being written already: its close will tell.
        if file.has_writers() { Ok(()) } else { self.admit_path(&file.place().get()).await }
    }

    /// Sets what programs may set; kept for the life of the mount.
    pub fn set(&self, ino: Ino, overrides: Overrides) -> Result<Attr> {
        let mut inner = self.inner();
        let entry = inner.entries.get_mut(&ino).ok_or_else(stale)?;
        if let (Some(_), Some(file)) = (overrides.modified, &entry.file) {
            // What a program sets counts until the next write.
            file.forget_modified();
        }
        entry.overrides.merge(overrides);
        inner.attr(ino, &self.defaults)
    }

    /// Files that the service does not have as they are: path, size and what is the matter.
    pub fn unsettled(&self) -> Vec<(RemotePath, Arc<File>)> {
        let inner = self.inner();
        let files = inner.entries.iter().filter(|(_, entry)| !entry.removed);
        let dirty = files.filter_map(|(ino, entry)| Some((ino, entry.file.clone()?)));
        let dirty = dirty.filter(|(_, file)| file.is_dirty());
        dirty.filter_map(|(ino, file)| Some((inner.path(*ino)?, file))).collect()
    }
}

impl Inner {
    /// What is known of a name; that there is nothing is believed for `missed`.
    fn known(&self, parent: Ino, canonical: &str, dir_cache: Duration, missed: Duration) -> Known {
        let typed = (parent, canonical.to_owned());
        let key = match self.aliases.peek(&typed) {
            Some(real) if !self.names.contains_key(&typed) => (parent, real.clone()),
            _ => typed,
        };
        if let Some(ino) = self.names.get(&key) {
            let Some(entry) = self.entries.get(ino) else { return Known::Ask };
            let fresh = entry.is_local() || entry.fetched.elapsed() < dir_cache;
            return if fresh { Known::Entry(*ino) } else { Known::Ask };
        }
        let listed = self.entries.get(&parent).and_then(|entry| entry.listed);
        let asked = [self.misses.get(&key).copied(), listed];
        let absent = asked.into_iter().flatten().any(|since| since.elapsed() < missed);
        if absent { Known::Absent } else { Known::Ask }
    }

    /// What was asked for as `canonical` is `real` to the service, by a rule of its own that is not known before.
    fn learn(&mut self, parent: Ino, canonical: &str, real: &str) {
        let typed = (parent, canonical.to_owned());
        match canonical == real {
            true => self.aliases.pop(&typed),
            false => self.aliases.put(typed, real.to_owned()),
        };
    }

    fn attr(&self, ino: Ino, defaults: &Defaults) -> Result<Attr> {
        self.entries.get(&ino).map(|entry| entry.attr(ino, defaults)).ok_or_else(stale)
    }

    fn unrefer(&mut self, ino: Ino, count: u64) {
        let Some(entry) = self.entries.get_mut(&ino) else { return };
        entry.lookups = entry.lookups.saturating_sub(count);
        if entry.lookups > 0 || ino == ROOT {
            return;
        }
        if entry.removed {
            // Nobody can ask for it again; whoever still has it open holds the file itself.
            let key = (entry.parent, entry.name.clone());
            if self.names.get(&key) == Some(&ino) {
                self.names.remove(&key);
            }
            self.entries.remove(&ino);
        } else if !entry.is_local() {
            entry.let_go();
        }
    }

    fn path(&self, ino: Ino) -> Option<RemotePath> {
        let mut names = Vec::new();
        let mut at = ino;
        while at != ROOT {
            let entry = self.entries.get(&at)?;
            names.push(entry.name.as_str());
            at = entry.parent;
        }
        Some(names.iter().rev().fold(RemotePath::root(), |path, name| path.join(name)))
    }

    fn add(&mut self, entry: Entry) -> Ino {
        let ino = self.next;
        self.next += 1;
        let key = (entry.parent, entry.name.clone());
        self.misses.remove(&key);
        self.names.insert(key, ino);
        self.entries.insert(ino, entry);
        ino
    }

    /// The service says that `node` stands under a name; asked at `asked`.
    fn upsert(&mut self, parent: Ino, canonical: String, node: Node, asked: Instant) -> Ino {
        let key = (parent, canonical);
        if let Some(ino) = self.names.get(&key).copied() {
            let entry = self.entries.get_mut(&ino).expect("a name has its entry");
            if entry.kind == node.kind {
                entry.take(node, asked);
                return ino;
            }
            // A file became a directory, or the other way round: that is another inode.
            entry.removed = true;
            self.names.remove(&key);
        }
        let mut entry = Entry::new(parent, key.1, node.kind);
        entry.remote = Some(node);
        entry.fetched = asked;
        self.add(entry)
    }

    /// The service says that nothing stands under a name; asked at `asked`.
    fn forget_remote(&mut self, parent: Ino, canonical: &str, asked: Instant) {
        let key = (parent, canonical.to_owned());
        if let Some(ino) = self.names.get(&key).copied() {
            let entry = self.entries.get_mut(&ino).expect("a name has its entry");
            if entry.is_local() || entry.is_newer_than(asked) {
                return;
            }
            entry.removed = true;
            let unknown_to_kernel = entry.lookups == 0;
            self.names.remove(&key);
            if unknown_to_kernel {
                self.entries.remove(&ino);
            }
        }
        self.miss(key, asked);
    }

    fn miss(&mut self, key: (Ino, String), since: Instant) {
        if self.misses.len() >= self.misses_max {
            self.misses.retain(|_, since| since.elapsed() < MISS);
            self.misses_max = MISSES_MIN.max(2 * self.misses.len());
        }
        self.misses.insert(key, since);
    }
}

impl Entry {
    /// The service's word on an entry that is known already. Local truth goes first.
    fn take(&mut self, node: Node, asked: Instant) {
        // It is there indeed.
        self.anchor = false;
        if self.is_local() || self.is_newer_than(asked) {
            return;
        }
        self.fetched = asked;
        if self.node().is_none_or(|known| known.version != node.version) {
            if let Some(file) = &self.file {
                if !file.upload().adopt(node.clone()) {
                    return;
                }
                file.forget_modified();
            }
            // Another client's version has its own time.
            self.overrides.modified = None;
        }
        self.remote = Some(node);
        if self.lookups == 0 {
            self.let_go();
        }
    }

    /// Drops the file behind an entry that nobody uses: what the service has can be had again.
    fn let_go(&mut self) {
        self.remote = self.node();
        let written = self.file.take().and_then(|file| file.modified());
        self.overrides.modified = written.or(self.overrides.modified);
    }
}

/// The kernel asks for an inode that is not there any more.
fn stale() -> Error {
    Error::new(Kind::NotFound, "lookup", "the entry is gone")
}

fn not_found() -> Error {
    Error::new(Kind::NotFound, "lookup", "there is no such file")
}
