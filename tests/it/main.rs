//! The integration tests, in one binary: what a service must do (`conformance`), what a person types (`cli`), one service
//! against its real server (`mediawiki`), and how the sources hang together (`tidy`).

#![allow(clippy::unwrap_used, reason = "a test that fails here has said where")]

mod cli;
mod conformance;
mod mediawiki;
mod support;
mod tidy;
mod wiki_mount;
