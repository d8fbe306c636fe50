//! The table of ProjectGroups.

use domain::project_group::ProjectGroup;

crate::named::named_documents!(ProjectGroup, "project_group", "ProjectGroups");
