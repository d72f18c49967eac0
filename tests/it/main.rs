//! The integration tests, in one binary: what a service must do (`conformance`), what a mount promises to programs
//! (`close`, `killed`, `failed`, `files`, `names`, `races`, `pressure`, `promise`, `unmount`, `daemon`), what a process may
//! leave to another one (`resumed`), also when it dies (`durable`), when any request of an upload that nobody waits for fails
//! (`nth_fault`), when the account is forgotten meanwhile (`expired`), and over many hours (`soak`); how like a local
//! directory it is (`posix`), also for a crowd (`hammer`); what a person types (`cli`) and sees first (`demo`), how
//! a live mount is asked and told (`control`), also by our own commands (`commands`), one
//! service against its real server (`mediawiki`), that server mounted and used
//! (`wiki_mount`, `wiki_errors`), also over a bad network (`wiki_faults`), its other kinds (`wiki_variants`), ONLYOFFICE
//! portals call by call (`office`), under faults (`office_faults`), mounted and used (`office_mount`), and what must not be
//! mistaken there (`office_twins`), Yandex Wikis call by call (`yandex`), under faults (`yandex_faults`), mounted and used
//! (`yandex_mount`), cloud folders under faults (`cloud_faults`), mounted and used (`cloud_mount`), the servers that come
//! along (`portal`, `portal_yandex_wiki`, `portal_yandex_cloud`), how the sources hang together (`tidy`), and that what is
//! written beside them is true (`docs`, `units`).

#![allow(clippy::unwrap_used, reason = "a test that fails here has said where")]

mod cli;
mod close;
mod cloud_faults;
mod cloud_mount;
mod commands;
mod conformance;
mod control;
mod daemon;
mod demo;
mod docs;
mod durable;
mod expired;
mod failed;
mod files;
mod hammer;
mod killed;
mod mediawiki;
mod names;
mod nth_fault;
mod office;
mod office_faults;
mod office_mount;
mod office_twins;
mod portal;
mod portal_yandex_cloud;
mod portal_yandex_wiki;
mod posix;
mod pressure;
mod promise;
mod races;
mod resumed;
mod soak;
mod support;
mod tidy;
mod units;
mod unmount;
mod wiki_errors;
mod wiki_faults;
mod wiki_mount;
mod wiki_variants;
mod yandex;
mod yandex_faults;
mod yandex_mount;
