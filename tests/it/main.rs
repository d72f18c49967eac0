//! The integration tests, in one binary: what a service must do (`conformance`), and what a mount
//! promises to programs (`close`, `killed`, `failed`,
//! `files`, `names`, `pressure`, `unmount`).

#![allow(clippy::unwrap_used, reason = "a test that fails here has said where")]

mod close;
mod conformance;
mod failed;
mod files;
mod killed;
mod names;
mod pressure;
mod support;
mod unmount;
