//! Project groups.

use domain::permission::Permission;
use domain::project_group::ProjectGroup;
use domain::{Problems, ProjectGroupId, SpaceId};
use storage::Session;

use crate::Result;
use crate::named::{Guards, Resource, free_slug};

impl Resource for ProjectGroup {
    const WORD: &'static str = "project group";
    const GUARDS: Guards = Guards {
        view: Permission::ProjectGroupView,
        create: Permission::ProjectGroupCreate,
        edit: Permission::ProjectGroupEdit,
        delete: Permission::ProjectGroupDelete,
    };

    fn set_id(&mut self, id: String) {
        self.id = ProjectGroupId::from_text(id);
    }

    async fn check(
        &mut self,
        session: &mut Session,
        space: &SpaceId,
        before: Option<&Self>,
    ) -> Result<Problems> {
        self.space_id = space.clone();
        self.slug = free_slug(session, space, &self.name, &self.slug, before).await?;
        Ok(self.problems())
    }

    async fn deleting(&self, session: &mut Session, space: &SpaceId) -> Result<Problems> {
        let projects: Vec<domain::project::Project> = storage::named::all(session, space).await?;
        let mut problems = Problems::default();
        if projects.iter().any(|project| project.project_group_id == self.id) {
            problems.add(format!(
                "The project group '{}' has projects in it. Move or delete them first.",
                self.name
            ));
        }
        Ok(problems)
    }
}
