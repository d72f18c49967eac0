//! Reading directories: what one held when it was opened, line by line, so that a reader sees each entry once.

use fuser::{Errno, FileHandle, FopenFlags, Generation, INodeNo, ReplyDirectory, ReplyDirectoryPlus, ReplyOpen};

use super::control;
use super::front::Front;
use super::reply;
use crate::service::NodeKind;
use crate::tree::Listed;

/// Offsets up to this one are those of `.` and `..`, which the kernel holds no references for.
const DOTS: u64 = 2;

impl Front {
    pub(super) async fn open_directory(&self, ino: u64, reply: ReplyOpen) {
        let tree = self.tree.clone();
        let listed = match control::listing(ino) {
            Some(listed) => Ok(listed),
            None => self.in_time(async move { tree.list(ino).await }).await,
        };
        match listed {
            Ok(listed) => {
                let number = self.directories.add(control::without_namesake(ino, listed));
                reply.opened(FileHandle(number), FopenFlags::empty());
            }
            Err(error) => reply.error(reply::errno("list", self.path_of(ino), &error)),
        }
    }

    pub(super) fn read_directory(&self, ino: u64, number: u64, offset: u64, mut reply: ReplyDirectory) {
        let Some(listed) = self.directories.get(number) else { return reply.error(Errno::EBADF) };
        for (next, ino, name, kind) in self.lines(ino, &listed, offset) {
            if reply.add(INodeNo(ino), next, reply::file_type(kind), name) {
                break;
            }
        }
        reply.ok();
    }

    pub(super) fn read_directory_plus(&self, ino: u64, number: u64, offset: u64, mut reply: ReplyDirectoryPlus) {
        let Some(listed) = self.directories.get(number) else { return reply.error(Errno::EBADF) };
        for (next, child, name, _) in self.lines(ino, &listed, offset) {
            // An entry that went away since the directory was opened is passed over.
            let Ok(attr) = self.attr(child) else { continue };
            if reply.add(INodeNo(child), next, name, &reply::TTL, &reply::attr(&attr), Generation(0)) {
                break;
            }
            if next > DOTS {
                self.tree.refer(child);
            }
        }
        reply.ok();
    }

    /// The lines of a listing from `offset` on: the offset of the next line, inode, name, kind.
    fn lines<'a>(
        &self,
        ino: u64,
        listed: &'a [Listed],
        offset: u64,
    ) -> impl Iterator<Item = (u64, u64, &'a str, NodeKind)> {
        let dots = [(ino, ".", NodeKind::Directory), (self.tree.parent(ino), "..", NodeKind::Directory)];
        let names = listed.iter().map(|line| (line.ino, line.name.as_str(), line.kind));
        let all = dots.into_iter().chain(names).enumerate();
        all.skip(usize::try_from(offset).unwrap_or(usize::MAX)).map(|(at, (ino, name, kind))| {
            let next = at as u64 + 1;
            (next, ino, name, kind)
        })
    }
}
