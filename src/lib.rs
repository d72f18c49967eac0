//! uploadfs.
pub mod error;
pub mod http;
pub mod path;
pub mod ranges;
pub mod service;
