//! The table of Lifecycles.

use domain::lifecycle::Lifecycle;

crate::named::named_documents!(Lifecycle, "lifecycle", "Lifecycles");
