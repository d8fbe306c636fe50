#![doc = include_str!("README.md")]

pub mod mask;
mod maven;
pub mod package_file_name;
pub mod range;
pub mod version;

pub use mask::{Mask, increment_suffix};
pub use package_file_name::PackageFileName;
pub use range::VersionRange;
pub use version::{Format, NotAVersion, Version};

#[cfg(test)]
mod recorded;
