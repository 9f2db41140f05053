-- `kong.db.declarative.import`: the keys that entities are kept under, and the ways into the database.
--
-- The store is the gateway's own and is written by a swap of the whole configuration only, so what writes to a
-- database from here says that it is not supported.

local sha256_hex = require("kong.tools.sha256").sha256_hex

local null = ngx.null

local M = { GLOBAL_WORKSPACE_TAG = "*" }

local GLOBAL = M.GLOBAL_WORKSPACE_TAG

local function no_global(ws_id)
  if ws_id == GLOBAL then
    error("a key needs a workspace of its own", 3)
  end
end

--- The key of a unique field's value.
function M.unique_field_key(schema_name, ws_id, field, value)
  return ("U|%s|%s|%s|%s"):format(schema_name, field, ws_id, (sha256_hex(value)))
end

--- What the keys of all that refers to one entity begin with, in one workspace or in all.
function M.foreign_field_key_prefix(schema_name, ws_id, field, foreign_id)
  local prefix = ("F|%s|%s|%s|"):format(schema_name, field, foreign_id)
  return ws_id == GLOBAL and prefix or prefix .. ws_id .. "|"
end

--- The key of an entity by what it refers to.
function M.foreign_field_key(schema_name, ws_id, field, foreign_id, pk)
  no_global(ws_id)
  return M.foreign_field_key_prefix(schema_name, ws_id, field, foreign_id) .. pk
end

--- What the keys of a kind's entities begin with.
function M.item_key_prefix(schema_name, ws_id)
  local prefix = ("I|%s|"):format(schema_name)
  return ws_id == GLOBAL and prefix or prefix .. ws_id .. "|"
end

--- The key of an entity.
function M.item_key(schema_name, ws_id, pk)
  no_global(ws_id)
  return M.item_key_prefix(schema_name, ws_id) .. pk
end

--- The workspace that a query is about: the default one for kinds without workspaces, all for `workspace = null`.
function M.workspace_id(schema, options)
  if not schema.workspaceable then
    return kong.default_workspace
  end
  local wanted = options and options.workspace
  if not wanted or wanted == "" then
    return require("kong.workspaces").get_workspace_id()
  elseif wanted == null then
    return GLOBAL
  end
  return wanted
end

for _, name in ipairs {
  "get_current_hash", "load_into_db", "load_into_cache", "load_into_cache_with_events", "insert_entity_for_txn",
  "delete_entity_for_txn",
} do
  M[name] = function()
    error("not supported: kong.db.declarative." .. name, 2)
  end
end

return M
