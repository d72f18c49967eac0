//! What a service can do, as values: how the size of a file must be known, how large parts are, whether there are
//! directories, versions, moves. The upload machine and the file system decide by these and by nothing else.

/// What one remote can do. It may change while mounted (a part limit learned from a refusal), so it is asked for again
/// at the beginning of every upload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Capability {
    /// How the size of a file must be known to upload it.
    pub policy: SizePolicy,
    /// The largest file, in bytes.
    pub file_max: u64,
    /// Up to this many bytes a complete file goes in one request (`put_whole`); 0 when the service has none.
    pub whole_max: u64,
    /// When the name of an upload is fixed.
    pub named_at: NamedAt,
    /// Whether files without content can exist on the service. Where not, an empty file stays local until it has bytes.
    pub empty_files: bool,
    /// Whether directories can be made, listed and removed.
    pub directories: bool,
    /// Whether a committed file can be renamed on the service.
    pub rename: bool,
    /// Whether `rename` replaces an existing target without a moment in which neither exists.
    pub rename_replaces: bool,
    /// Whether the service compares the SHA-1 of the whole file, so that it must be known when the last byte is sent.
    pub sha1: bool,
}

/// How the size of a file must be known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SizePolicy {
    /// Parts may flow before the size is known.
    Streamed(PartRules),
    /// `begin` must state the exact size.
    Declared(PartRules),
    /// One request carries the whole file, of at most `max` bytes.
    Whole {
        /// Bytes.
        max: u64,
    },
}

impl SizePolicy {
    /// The rules for parts, where there are parts.
    pub fn rules(&self) -> Option<&PartRules> {
        match self {
            SizePolicy::Streamed(rules) | SizePolicy::Declared(rules) => Some(rules),
            SizePolicy::Whole { .. } => None,
        }
    }
}

/// The arithmetic of parts. All sizes in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PartRules {
    /// The size a part should have.
    pub size: u64,
    /// The least a part may have; the last one may have less.
    pub min: u64,
    /// The most a part may have.
    pub max: u64,
    /// Every part but the last is a multiple of this.
    pub multiple: u64,
    /// The most parts of one file.
    pub count_max: u32,
    /// The most the first part may have, where a small one makes the later ones cheaper.
    pub first_max: Option<u64>,
    /// So many bytes are kept back until the file is closed, so that the last part is not empty.
    pub hold_back: u64,
    /// A session is opened once more than this has been written, or after a while: below it, a file that is closed soon
    /// takes the cheaper road of one request.
    pub open_after: u64,
    /// A part whose bytes have waited may leave before it is full once it has this many; `None` where parts are scarce.
    pub early: Option<u64>,
    /// Order and width.
    pub flow: Flow,
    /// Whether a part that was sent may be sent again with other bytes.
    pub rewrite: bool,
    /// Whether `begin` carries the first part (there is no session without bytes).
    pub opens_with_part: bool,
    /// Whether the last part makes the file, and `finish` only sees to it that it did: of what is given up once that part
    /// was sent, there may be a file.
    pub last_makes_file: bool,
}

/// The usual [`PartRules::open_after`]: 1 MiB.
pub const OPEN_AFTER_BYTES: u64 = 1 << 20;

/// The usual [`PartRules::early`]: enough that the fixed cost of a request (15-30 ms on the services measured) stays
/// below a tenth on a fast line, little enough that a slow writer's bytes keep travelling.
pub const EARLY_BYTES: u64 = 1 << 20;

/// In which order parts may travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flow {
    /// One after the other, in the order of the file.
    Sequential,
    /// Up to so many at once, in any order.
    Parallel(usize),
}

impl Flow {
    /// How many parts may be under way at once.
    pub fn width(self) -> usize {
        match self {
            Flow::Sequential => 1,
            Flow::Parallel(width) => width.max(1),
        }
    }
}

/// When the name of an upload is fixed; a rename before that costs nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NamedAt {
    /// When the session is opened.
    Begin,
    /// When the session is finished.
    Finish,
}
