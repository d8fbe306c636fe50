//! Users and API keys as they are shown (`rest-api.md` 5.20). Passwords and keys are no part of them.

use serde_json::Value;

use crate::document::Document;
use crate::shape::shape;
use crate::time::Timestamp;
use crate::{ApiKeyId, Problems, UserId, check_name};

shape! {
    /// A person, or a service account.
    pub struct + extra User {
        /// `Users-1`.
        pub id: UserId,
        /// What to sign in with; unique, without case.
        pub username: String,
        /// What others see.
        pub display_name: String,
        /// Where mail goes.
        pub email_address: Option<String>,
        /// Whether it may sign in and use its keys.
        pub is_active: bool,
        /// Whether it is a service account, which has keys and no password.
        pub is_service: bool,
        /// Whether the password can be changed here.
        pub can_password_be_edited: bool,
        /// Whether it is the one who asks; set for each answer.
        pub is_requestor: bool,
        /// What external providers say about the user.
        pub identities: Vec<Value>,
    }

    /// A key for programs. The key itself is shown once, when it is made.
    pub struct ApiKey {
        /// `APIKeys-1`.
        pub id: ApiKeyId,
        /// Whose key it is.
        pub user_id: UserId,
        /// What it is for.
        pub purpose: String,
        /// When it was made.
        pub created: Timestamp,
        /// When it stops working; null = never.
        pub expires: Option<Timestamp>,
    }
}

impl Document for User {}
impl Document for ApiKey {}

impl User {
    /// What is wrong with it.
    #[must_use]
    pub fn problems(&self) -> Problems {
        let mut problems = Problems::default();
        check_name(&mut problems, "user", &self.username);
        problems
    }
}
