//! The integration tests, in one binary: what a service must do (`conformance`).

#![allow(clippy::unwrap_used, reason = "a test that fails here has said where")]

mod conformance;
mod mediawiki;
mod support;
