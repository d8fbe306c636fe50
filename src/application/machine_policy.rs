//! Machine policies. This version has the default one of each space; it can be viewed.

use domain::machine_policy::MachinePolicy;
use domain::permission::Permission;
use domain::{MachinePolicyId, Problems, SpaceId};
use storage::Session;

use crate::Result;
use crate::named::{Guards, Resource, free_slug};

impl Resource for MachinePolicy {
    const WORD: &'static str = "machine policy";
    const GUARDS: Guards = Guards {
        view: Permission::MachinePolicyView,
        create: Permission::AdministerSystem,
        edit: Permission::AdministerSystem,
        delete: Permission::AdministerSystem,
    };

    fn set_id(&mut self, id: String) {
        self.id = MachinePolicyId::from_text(id);
    }

    async fn check(
        &mut self,
        session: &mut Session,
        space: &SpaceId,
        before: Option<&Self>,
    ) -> Result<Problems> {
        self.space_id = space.clone();
        self.is_default = before.is_some_and(|before| before.is_default);
        self.slug = free_slug(session, space, &self.name, &self.slug, before).await?;
        Ok(self.problems())
    }

    async fn deleting(&self, session: &mut Session, space: &SpaceId) -> Result<Problems> {
        let mut problems = Problems::default();
        if self.is_default {
            problems.add(format!(
                "The machine policy '{}' is the default one and stays.",
                self.name
            ));
        }
        let machines = storage::machine::all(session, space).await?;
        for machine in machines
            .iter()
            .filter(|machine| machine.machine_policy_id == self.id)
        {
            problems.add(format!(
                "The machine policy '{}' is used by the machine '{}'. Give the machine another policy first.",
                self.name, machine.name
            ));
        }
        Ok(problems)
    }
}
