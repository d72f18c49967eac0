//! uploadfs.
pub mod cache;
pub mod error;
pub mod file;
pub mod http;
pub mod path;
pub mod ranges;
pub mod service;
pub mod spool;
pub mod upload;
