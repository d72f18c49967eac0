//! The integration tests, in one binary: what a service must do (`conformance`), one service against its real server
//! (`mediawiki`).

#![allow(clippy::unwrap_used, reason = "a test that fails here has said where")]

mod conformance;
mod mediawiki;
mod support;
