//! Packages: which one a file holds, and how it is unpacked without leaving its folder (10).

pub mod archive_error;
mod decoder;
pub mod entry_name;
pub mod extraction;
pub mod jail;
pub mod manifest;
pub mod package_file;
pub mod tar_archive;
pub mod zip_archive;
pub mod zip_writer;

pub use archive_error::ArchiveError;
pub use extraction::{Extracted, Limits, extract};
pub use package_file::{Archive, PackageFile};

#[cfg(test)]
mod fuzz;
#[cfg(test)]
mod stories;
