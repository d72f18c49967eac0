//! uploadfs.
pub mod config;
pub mod error;
pub mod path;
pub mod ranges;
pub mod service;
