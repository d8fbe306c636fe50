//! The table of MachinePolicies.

use domain::machine_policy::MachinePolicy;

crate::named::named_documents!(MachinePolicy, "machine_policy", "MachinePolicies");
