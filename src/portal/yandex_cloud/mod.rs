//! The Files API of Yandex Cloud AI Studio: one folder, spoken to in two dialects, the vendor's own and that of OpenAI.
//!
//! **Contract.** Written from the vendor's reference and from recorded answers; where they differ, the recorded answers
//! count. What neither tells is a switch in [`Settings`], whose default is what is hardest on a client, and codes that
//! nobody has seen are marked as assumed in `errors`. What a client must not do is a [`Violation`](super::Violation):
//! everything that is refused because of its form, a file that is given no explicit expiry, a create that is sent again
//! without a look, and a credential that is sent to storage.
//!
//! **Traps it has.** A file vanishes after seven days unless it was given another life, and a new life is counted from the
//! making of the file. The same name twice makes two files, and nothing changes the content of one. Files of the native
//! dialect have neither size nor checksum. A list tells a token with every page that has something in it, and ends with
//! one that is empty. Downloads lead to the storage port, which wants a signature and no credential.
//!
//! **Kinds of requests** for scripts of faults, the same in both dialects: `create`, `list`, `get`, `get_url`, `update`,
//! `delete`, `content`, `stored`, `unknown`. The injected `quota` is found in `create`, the injected `locked` in `update`
//! and `delete`; a lost session is nothing here.
//!
//! **Parts.** Pure rules: `base64`, `strainer` (the content in a document of JSON), `mime`, `messages`, `file`, `list`,
//! `auth`, `calls`. Memory: `cloud`. Looks: `dto`, `errors`. Requests: `server` receives, `native` and `openai` answer,
//! `intake` and `making` make files for both.
//!
//! **Not here.** Vector stores, datasets, gRPC, the guess whether reading is activity: as recorded, it is none.

mod auth;
mod base64;
mod calls;
mod cloud;
mod config;
mod dto;
mod errors;
mod file;
mod intake;
mod list;
mod making;
mod messages;
mod mime;
mod native;
mod openai;
mod server;
mod settings;
mod strainer;

pub use self::config::{API_KEY, Account, AccountKind, FOLDER, IAM_TOKEN, PERSON_IAM_TOKEN, YandexCloudConfig};
pub(super) use self::server::YandexCloud;
pub use self::settings::{
    ErrorShape, ExpiredUrl, LabelPatch, LifeFrom, MimeCheck, MissingMask, OpenaiLife, Oversize, Settings,
};
