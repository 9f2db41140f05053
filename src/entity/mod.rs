//! The entities of the declarative format as typed, accepted data.
//!
//! Each entity's file holds the Rust type of what the schemas (Lua, `schema/entities`) have accepted and completed.
//!
//! Must not: judge or fill in anything (that is `schema`), read files, know the router or Lua.

mod certificate;
mod consumer;
mod host;
pub mod path;
mod plugin;
mod protocol;
mod route;
mod service;
mod upstream;

use serde::{Deserialize, Deserializer};
use std::time::Duration;

pub use certificate::{CaCertificate, Certificate, Sni};
pub use consumer::Consumer;
pub use host::{Address, HostKind, host_kind, parse_address};
pub use plugin::PluginEntity;
pub use protocol::Protocol;
pub use route::{HeaderRule, PathHandling, Route};
pub use service::Service;
pub use upstream::{Algorithm, HashOn, Hashing, Target, Upstream};

macro_rules! index {
    ($($(#[$doc:meta])* $name:ident),* $(,)?) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(pub u32);

        impl $name {
            /// The position in the snapshot's list.
            pub fn index(self) -> usize {
                self.0 as usize
            }
        }

        impl From<usize> for $name {
            fn from(position: usize) -> Self {
                Self(u32::try_from(position).unwrap_or(u32::MAX))
            }
        }
    )*};
}

index! {
    /// A service's place in its snapshot.
    ServiceIdx,
    /// A route's place in its snapshot.
    RouteIdx,
    /// A consumer's place in its snapshot.
    ConsumerIdx,
    /// An upstream's place in its snapshot.
    UpstreamIdx,
    /// A target's place in its upstream's list.
    TargetIdx,
    /// A plugin entity's (a plugin configuration's) place in its snapshot.
    ConfigIdx,
    /// A certificate's place in its snapshot.
    CertificateIdx,
}

/// A reference to another entity as it stands in an entity's table: `{ "id": "..." }`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Reference {
    /// The id of the entity referred to.
    pub id: String,
}

/// A value, or its type's default where it is unset.
fn or_default<'de, T: Default + Deserialize<'de>, D: Deserializer<'de>>(from: D) -> Result<T, D::Error> {
    Option::<T>::deserialize(from).map(Option::unwrap_or_default)
}

/// A limit in milliseconds; a minute where it was unset on purpose, since nothing waits for ever.
fn duration_ms<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
    let ms = Option::<u64>::deserialize(from)?;
    Ok(ms.map_or(Duration::from_secs(60), Duration::from_millis))
}
