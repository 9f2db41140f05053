//! Why a text or a row has no place in a snapshot, in Kong's words.

/// Why a text or a row has no place in a snapshot.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The text is not JSON or YAML.
    #[error("failed parsing declarative configuration: {0}")]
    Syntax(String),
    /// The text, or what it expands to, is beyond the limits.
    #[error("failed parsing declarative configuration: {0}")]
    Limit(&'static str),
    /// An accepted row does not fit its type.
    #[error("{0}: {1}")]
    Row(String, String),
}
