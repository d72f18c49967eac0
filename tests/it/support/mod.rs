//! What several integration tests need: services to test against, a straightforward uploader, a mount with programs.

pub(crate) mod fixture;
pub(crate) mod mount;
pub(crate) mod program;
pub(crate) mod upload;
pub(crate) mod wiki;
