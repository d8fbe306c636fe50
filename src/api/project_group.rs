//! Project groups (`rest-api.md` 5.3).

use axum::Router;
use domain::project_group::ProjectGroup;
use serde_json::Value;

use crate::Shared;
use crate::named::Rendered;
use crate::resource::resource;

pub(crate) fn routes() -> Router<Shared> {
    crate::named::routes::<ProjectGroup>()
}

impl Rendered for ProjectGroup {
    const PATH: &'static str = "projectgroups";
    const ITEM: &'static str = "ProjectGroup";

    fn render(&self, base: &str) -> Value {
        let at = format!("{base}/projectgroups/{}", self.id);
        // Plain: the Go client follows this link as it stands, without expanding it.
        let projects = format!("{at}/projects");
        resource(self, vec![("Self", at), ("Projects", projects)])
    }
}
