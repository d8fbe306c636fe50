//! The table of Feeds.

use domain::feed::Feed;

crate::named::named_documents!(Feed, "feed", "Feeds");
