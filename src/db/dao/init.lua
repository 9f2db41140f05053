-- `kong.db.dao`: what plugins and the gateway read entities with, `kong.db.<entity>`.
--
-- A DAO's methods are, in this order: those of the module that its schema names (`dao`), those made for the
-- schema (`super` in such a module), those all have.

local read = require "moongate.db.dao.read"
local write = require "moongate.db.dao.write"
local events = require "moongate.db.dao.events"
local generate = require "moongate.db.dao.generated"
local cache_key = require "moongate.db.dao.cache_key"
local clone = require("kong.tools.table").shallow_copy
local defaults = require("kong.db.strategies.connector").defaults

local pairs, setmetatable, type = pairs, setmetatable, type

local M = {}

--- What is deleted together with an entity.
M._find_cascade_delete_entities = events.cascade

local DAO = {}
DAO.__index = DAO

for _, name in ipairs {
  "select", "page", "each", "each_for_export", "select_by_cache_key", "row_to_entity", "rows_to_entities",
} do
  DAO[name] = read[name]
end
for _, name in ipairs { "truncate", "insert", "update", "upsert", "delete" } do
  DAO[name] = write[name]
end
DAO.post_crud_event = events.post_crud_event

--- The DAO of one schema over a strategy.
function M.new(db, schema, strategy, errors)
  local super = setmetatable(generate(schema), DAO)
  super.cache_key = cache_key(schema)

  local connector = strategy.connector
  local from = type(connector) == "table" and connector.defaults or defaults
  local pagination = clone(from.pagination)
  local self = {
    db = db,
    schema = schema,
    strategy = strategy,
    errors = errors,
    pagination = pagination,
    page_options = { pagination = pagination }, -- of all who give none
    super = super,
  }
  if schema.dao then
    for name, method in pairs(require(schema.dao)) do
      self[name] = method
    end
  end
  return setmetatable(self, { __index = super })
end

return M
