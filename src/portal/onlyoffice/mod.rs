//! An ONLYOFFICE portal: CommunityServer (generation G0) and DocSpace (G1, G2, G3), as far as files are concerned.
//!
//! **Contract.** Envelopes, status codes, titles, sessions, listings, operations and downloads are those of the version
//! in [`OnlyofficeConfig`]; what differs between versions is in `generation`. What a client must not do and a real
//! portal lets pass, or answers with silence and a broken file, is a [`Violation`](super::Violation).
//!
//! **Kinds of requests** for scripts of faults: `version`, `settings`, `sign_in`, `sign_out`, `self`, `list`,
//! `folder_info`, `file_info`, `history`, `mkdir`, `rename`, `delete`, `move`, `copy`, `operations`, `copy_as`, `lock`,
//! `create_session`, `edit_session`, `chunk`, `finalize`, `abort`, `upload_whole`, `update_file`, `upload_check`,
//! `update_if_exist`, `download`, `stored`, `unknown`. Chunks, finalize and abort are the same kind through the upload
//! handler and through the API.
//!
//! **Parts.** Pure rules: `generation`, `titles`, `dates`, `ranges`, `framing`, `session`, `listing`, `calls`, `fields`,
//! `auth`. Memory: `office` with `tree` and `operations`; `commit` changes it. Looks: `envelope`, `errors`,
//! `dto`. Requests: `server` receives, `metadata`, `sessions`, `uploads`, `handler`, `whole`, `deeds`, `download`
//! answer.
//!
//! **Not here.** Rooms with rights of their own, sharing, third-party folders, conversion, editing.

mod auth;
mod calls;
mod commit;
mod config;
mod dates;
mod deeds;
mod download;
mod dto;
mod envelope;
mod errors;
mod fields;
mod framing;
mod generation;
mod handler;
mod limits;
mod listing;
mod metadata;
mod office;
mod operations;
mod ranges;
mod server;
mod session;
mod sessions;
mod sign_in;
mod titles;
mod tree;
mod uploads;
mod whole;

pub use self::config::{
    API_KEY, Account, CHUNK_BYTES, Collation, Language, NegativeSize, OnlyofficeConfig, PASSWORD, RateLimit, Settings,
    Storage, USER,
};
pub use self::generation::{Generation, Version};
pub(super) use self::server::Onlyoffice;
