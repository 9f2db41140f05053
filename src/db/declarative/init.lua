-- `kong.db.declarative`: declarative files read, judged and flattened, and entities written as such files.

local cjson = require "cjson.safe"
local declarative_config = require "kong.db.schema.others.declarative_config"
local export = require "kong.db.declarative.export"
local import = require "kong.db.declarative.import"
local lyaml = require "lyaml"
local migrate_route_paths = require "kong.db.declarative.migrations.route_path"
local pl_file = require "pl.file"
local tree_text = require "moongate.db.declarative.tree"
local yield = require("kong.tools.yield").yield

local type, tostring, error = type, tostring, error

local M = {}
M.__index = M

--- What reads files for a configuration's plugins and vaults; nil and an error. `partial`: a file is a part of what
-- is there, and gets no default workspace.
function M.new_config(kong_config, partial)
  local schema, err = declarative_config.load(kong_config.loaded_plugins, kong_config.loaded_vaults)
  if not schema then
    return nil, err
  end
  return setmetatable({ schema = schema, partial = partial }, M)
end

--- Reads a file: see `parse_string`.
function M:parse_file(filename, old_hash)
  if type(filename) ~= "string" then
    error("filename must be a string", 2)
  end
  local contents, err = pl_file.read(filename)
  if not contents then
    return nil, err
  end
  return self:parse_string(contents, filename, old_hash)
end

--- The document of a text, nil, nil and its hash; nil, an error and its tree. The file's name says how it is
-- written; without one JSON is tried, then YAML.
function M:unserialize(contents, filename)
  local document, err
  local known = false
  if filename == nil or filename:find("json$") then
    known = true
    document, err = cjson.decode(contents)
  end
  if type(document) ~= "table" and (filename == nil or filename:find("ya?ml$")) then
    known = true
    document, err = lyaml.read(contents)
    if not err and type(document) ~= "table" then
      err = "expected an object"
    end
  end
  if type(document) ~= "table" then
    if known then
      err = "failed parsing declarative configuration" .. (err and ": " .. tostring(err) or "")
    else
      err = "unknown file type: " .. tostring(filename) .. ". (Accepted types: json, yaml)"
    end
    return nil, err, { error = err }, nil
  end
  return document, nil, nil, ngx.md5(contents)
end

--- The rows of a text by kind and id, nil, nil, its meta and its hash; nil, an error and its tree.
function M:parse_string(contents, filename, old_hash)
  local document, err, err_t, hash = self:unserialize(contents, filename)
  if not document then
    return nil, err, err_t
  end
  if old_hash and old_hash == hash then
    err = "configuration is identical"
    return nil, err, { error = err }, nil
  end
  return self:parse_table(document, hash)
end

--- The rows of a document: see `parse_string`.
function M:parse_table(document, hash)
  if type(document) ~= "table" then
    error("expected a table as input", 2)
  end
  migrate_route_paths(document)
  local entities, err_t, meta = self.schema:flatten(document)
  if err_t then
    return nil, tree_text(err_t), err_t
  end
  yield()
  if not self.partial then
    self.schema:insert_default_workspace_if_not_given(entities)
  end
  if not hash then
    hash = ngx.md5(cjson.encode({ entities, meta }) or "")
  end
  return entities, nil, nil, meta, hash
end

for _, name in ipairs {
  "to_yaml_string", "to_yaml_file", "export_from_db", "export_config", "export_config_proto", "export_config_sync",
  "sanitize_output",
} do
  M[name] = export[name]
end

for _, name in ipairs {
  "get_current_hash", "unique_field_key", "item_key", "item_key_prefix", "foreign_field_key_prefix", "load_into_db",
  "load_into_cache", "load_into_cache_with_events", "insert_entity_for_txn", "delete_entity_for_txn",
  "workspace_id", "GLOBAL_WORKSPACE_TAG",
} do
  M[name] = import[name]
end

M.pretty_print_error = tree_text

return M
