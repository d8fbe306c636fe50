//! Feeds. There is the built-in one; others come with their protocols.

use domain::feed::FeedType;
use domain::permission::Permission;
use domain::{BUILT_IN_FEED, Feed, FeedId, Problems, SpaceId};
use storage::{Session, named};

use crate::named::{Guards, Resource};
use crate::{Error, Result};

impl Resource for Feed {
    const WORD: &'static str = "feed";
    const GUARDS: Guards = Guards {
        view: Permission::FeedView,
        create: Permission::FeedEdit,
        edit: Permission::FeedEdit,
        delete: Permission::FeedEdit,
    };

    fn set_id(&mut self, id: String) {
        self.id = FeedId::from_text(id);
    }

    async fn check(
        &mut self,
        session: &mut Session,
        space: &SpaceId,
        before: Option<&Self>,
    ) -> Result<Problems> {
        let Some(before) = before.filter(|before| before.feed_type == self.feed_type) else {
            return Ok(Problems::one(format!(
                "The feed '{}' is of the type {}, which this Server cannot use yet. Push the packages to the built-in feed \
                 '{BUILT_IN_FEED}' instead.",
                self.name, self.feed_type
            )));
        };
        self.space_id = space.clone();
        self.slug = crate::named::free_slug(session, space, &self.name, &self.slug, Some(before)).await?;
        self.feed_uri = None;
        self.username = None;
        self.password = domain::SensitiveValue::Empty;
        self.package_acquisition_location_options
            .clone_from(&before.package_acquisition_location_options);
        Ok(self.problems())
    }

    async fn deleting(&self, _session: &mut Session, _space: &SpaceId) -> Result<Problems> {
        let mut problems = Problems::default();
        if self.feed_type == FeedType::BuiltIn {
            problems.add(format!(
                "The feed '{}' is the built-in one and cannot be deleted.",
                self.name
            ));
        }
        Ok(problems)
    }
}

/// The built-in feed of a space.
///
/// # Errors
/// [`Error::NotFound`], which is a fault: every space has one.
pub async fn built_in(session: &mut Session, space: &SpaceId) -> Result<Feed> {
    let feeds: Vec<Feed> = named::all(session, space).await?;
    feeds
        .into_iter()
        .find(|feed| feed.feed_type == FeedType::BuiltIn)
        .ok_or_else(|| Error::not_found("feed", BUILT_IN_FEED))
}
