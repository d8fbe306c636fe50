//! The table of Environments.

use domain::environment::Environment;

crate::named::named_documents!(Environment, "environment", "Environments", |environment| {
    environment.sort_order.into()
});
