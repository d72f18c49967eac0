//! A Yandex Wiki as far as files are concerned: upload sessions, attachments, and the pages they belong to.
//!
//! **Contract.** Written from the vendor's reference and from recorded answers; where they differ, the recorded answers
//! count. What neither tells is a switch in [`Settings`], whose default is what is hardest on a client, and codes that
//! nobody has seen are marked as assumed in `errors`. What a client must not do is a [`Violation`](super::Violation):
//! everything that is refused because of its form, a finish or an attach that is repeated without a look, `abort-all`,
//! and a credential that is sent to storage.
//!
//! **Traps it has.** Sizes in listings are megabytes with two decimals. The same name twice makes two attachments, and
//! nothing renames, replaces or moves one. An unknown download is 404 with a picture. A download by URL is refused with a
//! slash at its beginning, and leads to the storage port. The declared size counts when a session is finished, and so do
//! gaps and small parts. Pages of results may be short though there are more. Slugs come back in another form.
//!
//! **Kinds of requests** for scripts of faults: `me`, `openapi`, `create_session`, `session`, `part`, `finish`, `abort`,
//! `abort_all`, `attach`, `attachments`, `attachment`, `delete_attachment`, `download`, `download_by_url`, `preview`,
//! `resources`, `page`, `create_page`, `update_page`, `delete_page`, `recover`, `descendants`, `move`, `clone`,
//! `operation`, `stored`, `unknown`. The injected `locked` is a blocked cluster, or a conflict of changes; an operation
//! fails of it. The injected `quota` is found in `create_session`, `finish` and `attach`.
//!
//! **Parts.** Pure rules: `slugs`, `names`, `session`, `paging`, `fields`, `auth`, `calls`, `rate`. Memory: `wiki` with
//! `sessions`, `attachments`, `pages`, `operations`. Looks: `dto`, `errors`. Requests: `server` receives, `uploads`,
//! `files`, `downloads`, `tree`, `operations` answer.
//!
//! **Not here.** Grids, comments, access to single pages, templates, sections of pages.

mod attachments;
mod auth;
mod calls;
mod config;
mod downloads;
mod dto;
mod errors;
mod fields;
mod files;
mod names;
mod operations;
mod pages;
mod paging;
mod rate;
mod server;
mod session;
mod sessions;
mod settings;
mod slugs;
#[cfg(test)]
mod tests;
mod tree;
mod uploads;
mod wiki;

pub use self::config::{
    Account, IAM_TOKEN, LOGIN, OAUTH_TOKEN, ORGANISATION, OrganisationKind, ROOT_SLUG, YandexWikiConfig,
};
pub(super) use self::server::YandexWiki;
pub use self::settings::{EmptyFiles, ErrorShape, Repeated, Settings, SizeCheck, SlugRule, Step, UrlNames, Verdict};
