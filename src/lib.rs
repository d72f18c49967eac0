//! uploadfs.
pub mod cache;
pub mod cli;
pub mod config;
pub mod error;
pub mod file;
pub mod fs;
pub mod http;
pub mod mount;
pub mod open;
pub mod path;
pub mod ranges;
pub mod service;
pub mod spool;
pub mod tree;
pub mod upload;
