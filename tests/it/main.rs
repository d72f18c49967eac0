//! The integration tests, in one binary: what a service must do (`conformance`), what a mount promises to programs
//! (`close`, `killed`, `failed`, `files`, `names`, `pressure`, `unmount`, `daemon`), what a person types (`cli`), and
//! how the sources hang together (`tidy`).

#![allow(clippy::unwrap_used, reason = "a test that fails here has said where")]

mod cli;
mod close;
mod conformance;
mod daemon;
mod failed;
mod files;
mod killed;
mod mediawiki;
mod names;
mod pressure;
mod support;
mod tidy;
mod unmount;
