//! The entities of the declarative format as typed, validated data.
//!
//! Must not: read files, know the router or Lua.
