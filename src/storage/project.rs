//! The table of Projects.

use domain::project::Project;

crate::named::named_documents!(Project, "project", "Projects");
