//! What several integration tests need: services to test against and a straightforward uploader.

pub(crate) mod daemon;
pub(crate) mod fixture;
pub(crate) mod program;
pub(crate) mod upload;
pub(crate) mod wiki;
