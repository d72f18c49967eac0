//! uploadfs.
pub mod cli;
pub mod config;
pub mod error;
pub mod open;
pub mod path;
pub mod ranges;
pub mod service;
