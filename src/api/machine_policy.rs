//! Machine policies (`rest-api.md` 5.15).

use axum::Router;
use domain::machine_policy::MachinePolicy;
use serde_json::Value;

use crate::Shared;
use crate::named::Rendered;
use crate::resource::resource;

pub(crate) fn routes() -> Router<Shared> {
    crate::named::routes::<MachinePolicy>()
}

impl Rendered for MachinePolicy {
    const PATH: &'static str = "machinepolicies";
    const ITEM: &'static str = "MachinePolicy";

    fn render(&self, base: &str) -> Value {
        let at = format!("{base}/machinepolicies/{}", self.id);
        let machines = format!("{at}/machines");
        let workers = format!("{at}/workers");
        resource(
            self,
            vec![("Self", at), ("Machines", machines), ("Workers", workers)],
        )
    }
}
