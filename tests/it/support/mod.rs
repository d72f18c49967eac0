//! What several integration tests need: services to test against and a straightforward uploader.

pub(crate) mod fixture;
pub(crate) mod upload;
pub(crate) mod wiki;
