//! uploadfs mounts a remote service as a directory and uploads on write: `close(2)` answers 0 when the service has
//! confirmed the file. This page is the map for whoever changes the code; what users are promised is in `README.md`.
//!
//! # Layers
//!
//! A layer uses what stands above it in this table and nothing else. Everyone may use [`error`], [`path`],
//! [`ranges`] and [`secret`]. `tests/it/tidy.rs` holds the table, and that only [`fs`] and [`mount`] know the library `fuser`, only
//! [`http`] knows `reqwest`, and only its folder, [`config`], [`cli`] and [`mod@open`] know the name of a service.
//!
//! | layer                              | what it is                                            | uses                     |
//! |------------------------------------|-------------------------------------------------------|--------------------------|
//! | [`error`], [`path`], [`ranges`]    | kinds of failure and their errnos; names; sets of ranges |                       |
//! | [`secret`]                         | secrets in files, and tokens that are renewed there   |                          |
//! | [`http`]                           | requests to one origin; what silence and cuts mean    |                          |
//! | [`service`]                        | the trait, its layers (trace, reach, retry, limit), one folder per service | `http`     |
//! | [`spool`]                          | the directory on local disk: spill files, journals, what is found of them | `service` |
//! | [`cache`]                          | bytes of open files in chunks, one LRU, one budget    | `spool`                  |
//! | [`upload`]                         | part planner and machine (pure), bytes, driver        | `service` `cache` `spool` |
//! | [`file`](mod@file)                 | open files; what closing means; generations           | `service` `upload` `cache` `spool` |
//! | [`tree`]                           | names and inodes, local truth over remote truth       | `service` `upload` `file` `spool` |
//! | [`fs`]                             | FUSE: decode, call, answer                            | `service` `tree` `file`  |
//! | [`portal`]                         | servers that speak the services' protocols, for tests and trials; share nothing with the clients | |
//! | [`config`]                         | what was typed, written and set, as values or a refusal |                        |
//! | [`mod@open`]                       | a configured remote becomes a service                 | `config` `service`       |
//! | [`mount`]                          | puts a mount together, waits, ends it                 | all of the above         |
//! | [`cli`]                            | the command line; asks live mounts through their files | `config` `open` `mount` `portal`, the schema of `fs` |
//!
//! Two rules make the middle thin: the FUSE front knows no service, and a service knows no chunk. What a service can
//! and cannot do reaches the layers above as a value, [`service::Capability`].
//!
//! # The life of a write
//!
//! 1. `create` asks the service whether this account may write the file ([`service::Service::admit`]) and makes an
//!    entry in the tree. No byte of the file is sent. Opening makes a [`file::Handle`] that remembers the process.
//! 2. `write` checks the largest size the service takes, then, under the upload's lock, copies into chunks
//!    ([`cache::CachedContent`]) and tells the machine ([`upload::machine`]) as one step. If there is no room, or a
//!    commit is under way, the rest of the request waits in a task, with its reply; the FUSE thread goes on.
//! 3. The machine opens a session when more than `open_after` bytes were written, or [`upload::AGE`] after the first
//!    one, if the service can take parts before it knows the size ([`service::SizePolicy`]), or the size is promised: set by
//!    the program, or that of the file it copies (`file/promise.rs`). The planner
//!    ([`upload::plan`]) cuts what is written without a gap into parts by the service's [`service::PartRules`].
//! 4. The driver ([`upload::driver`]) makes one task per request. A part is a [`service::Payload`]: a range that is
//!    read from [`upload::Source`] while it is sent, out of the cache, the spool, or the service's old version.
//! 5. When memory runs low, `spool-io` writes chunks that are the only copy into a spill file; chunks the service has
//!    are dropped.
//! 6. A write into bytes that were sent makes the session worthless. It is given up, and the file goes out from its
//!    first byte at close; no more of it is streamed until then.
//! 7. `flush`, one for every closed descriptor, looks at `/proc` ([`file::process`]) and does one of four things:
//!    nothing was written, answer at once; the file is still held for writing and that close will tell, defer; the
//!    caller is being killed, park; otherwise commit. `fsync` brings the file to disk and publishes nothing.
//! 8. A commit sends what is left, then `finish`, or the whole file in one request where it is small and has not begun
//!    to stream. Writers wait until it ends. The reply of the flush is the service's answer.
//! 9. An answer that was lost is a doubt: the machine probes what the service holds before it sends anything again.
//!    A final failure is kept and answered to every write and close until the file is opened for writing again; the
//!    bytes stay readable in the mount, and a person may send them again as they are, or throw them away
//!    (`file/parked.rs`).
//! 10. The last `release` commits what nobody closed (a truncation by `open` alone, a mapping). Its failure reaches the
//!     log only.
//!
//! # What outlives the process
//!
//! With `--close=local` step 8 is another one: the cache writes all of the file to its spill file, which is synced;
//! a [`spool::Journal`] says what it is and that it was closed; then the close is answered. The commit follows in a task
//! (`file/publish.rs`), some at a time, and is tried again for as long as that may help. The upload writes its session, its
//! parts and, before it leaves, the question that makes the file into the journal. Once the service has confirmed, the entry
//! ends. A write to a file that waits makes another *generation* of it (`file/generations.rs`).
//!
//! A file that was parked, and one whose program called `fsync`, has an entry as well; it is not published by anybody but
//! a person. The next mount finds all entries ([`spool::Spool::recover`]), gives them their names back
//! (`tree/recovery.rs`), and goes on where the service says the last process stopped ([`upload::machine::Left`]).
//!
//! While the service is away, which [`service::layer::Reach`] knows by the results of requests, names are answered from what
//! the tree knew (`tree/away.rs`), and uploads that nobody waits for pause until something is heard of it.
//!
//! # Threads
//!
//! | thread         | does                                                                    | waits for              |
//! |----------------|-------------------------------------------------------------------------|------------------------|
//! | `fuser-N`      | reads requests, answers what memory can answer, hands the rest to tasks | the kernel only        |
//! | `network`      | the runtime: every request to a service, every reply that had to wait; a few more of this name read `/proc` | sockets, timers |
//! | `spool-io`     | all disk work of the cache; journals and syncs run on threads of the runtime that may block | the disk, its mailbox |
//! | `coherence`    | tells the kernel to forget pages and names that changed behind its back | the kernel, its mailbox |
//! | `portal`, `portal-io`, `portal-index` | a portal, where one runs: requests, disk, the log of its records | sockets, the disk |
//! | main           | starts, waits for a signal or the unmount, drains                       | channels               |
//!
//! # Locks
//!
//! Held for memory work only: never across `.await`, never while disk or network work, never while calling upward. The
//! order, each only after those before it:
//!
//! tree < file < generations of a file < upload < base of a source < content of the cache < recency < pool
//!
//! The path of a [`upload::Place`] is a leaf: nothing is taken while it is held. Four locks are asynchronous and may be
//! held across requests and disk work; they are taken before any of the above: [`upload::Place::hold`], by which a commit,
//! a rename and a removal of one file exclude one another; the one in [`upload::Source`] that lets one reader at a time
//! fetch; the one of an upload by which saving it and ending its entry exclude one another; and the one of a file that lets
//! one writer at a time begin a generation, which is taken before the last.
//!
//! # What is deliberately absent
//!
//! * **A second way to send.** No part is joined in memory, no upload runs outside of the machine, no layer repeats
//!   `begin`, `finish` or a whole upload.
//! * **A clock or a socket in the machine and the planner.** Time and answers come to them as events.
//! * **Writeback caching by the kernel.** It would hide which process writes, and closing depends on that.
//! * **Locks, links, devices, foreign extended attributes.** File locks are left to the kernel; the others are refused
//!   with the errno that programs are known to survive (`fs/refused.rs`).
//! * **A control socket.** What the service does not have is read from `.uploadfs/status` (`fs/control.rs`), the state of
//!   one file from its attributes `user.uploadfs.*`, and a command is an attribute that is written.
//!
//! The reasons behind the larger choices are in `contrib/decisions/`.
pub mod cache;
pub mod cli;
pub mod config;
pub mod error;
pub mod file;
pub mod fs;
pub mod http;
pub mod mount;
pub mod open;
pub mod path;
pub mod portal;
pub mod ranges;
pub mod secret;
pub mod service;
pub mod spool;
pub mod tree;
pub mod upload;
