#![doc = include_str!("README.md")]

pub mod mask;
mod maven;
pub mod maven_package_id;
pub mod maven_range;
pub mod package_file_name;
pub mod range;
pub mod version;

pub use mask::{Mask, increment_suffix};
pub use maven_package_id::MavenPackageId;
pub use maven_range::MavenRange;
pub use package_file_name::PackageFileName;
pub use range::VersionRange;
pub use version::{Depth, Format, NotAVersion, Version};
