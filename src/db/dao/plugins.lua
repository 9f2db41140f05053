-- `kong.db.dao.plugins`: plugin configurations, and the plugins that are loaded: their handlers, their
-- schemas as subschemas, their entities as DAOs.

local constants = require "kong.constants"
local DAO = require "kong.db.dao"
local loader = require "kong.db.schema.plugin_loader"
local strategies = require "kong.db.strategies"
local load_if_exists = require("kong.tools.module").load_module_if_exists

local fmt = string.format
local type, pairs, ipairs, tostring = type, pairs, ipairs, tostring
local null = ngx.null

local M = {}

-- Protocols are sets: lists that also answer by value.
local function share_protocol(plugin, route)
  for _, protocol in ipairs(plugin.protocols) do
    if route.protocols[protocol] then
      return true
    end
  end
  return false
end

-- Whether a route of the service shares a protocol with the plugin, or the service has none.
local function shared_by_service(self, plugin, service)
  local any = false
  for route, err, err_t in self.db.routes:each_for_service(service) do
    if not route then
      return nil, err, err_t
    elseif share_protocol(plugin, route) then
      return true
    end
    any = true
  end
  return not any
end

local function check_protocols(self, plugin)
  if type(plugin.protocols) ~= "table" then
    return true
  end
  local problem
  if type(plugin.route) == "table" then
    local route = self.db.routes:select(plugin.route)
    if route and not share_protocol(plugin, route) then
      problem = "must match the associated route's protocols"
    end
  elseif type(plugin.service) == "table" and not shared_by_service(self, plugin, plugin.service) then
    problem = "must match the protocols of at least one route pointing to this Plugin's service"
  end
  if problem then
    local err_t = self.errors:schema_violation({ protocols = problem })
    return nil, tostring(err_t), err_t
  end
  return true
end

function M:insert(entity, options)
  local ok, err, err_t = check_protocols(self, entity)
  if not ok then
    return nil, err, err_t
  end
  return self.super.insert(self, entity, options)
end

function M:update(primary_key, entity, options)
  local protocols, service, route = entity.protocols, entity.service, entity.route
  if protocols or service or route then
    -- judged together with what stays as it is
    if (protocols and not route) or ((service or route) and not protocols) then
      local old = self.super.select(self, primary_key, options)
      if old then
        entity.protocols = protocols or old.protocols
        entity.service = service or old.service
        entity.route = route or old.route
      end
    end
    local ok, err, err_t = check_protocols(self, entity)
    if not ok then
      return nil, err, err_t
    end
  end
  return self.super.update(self, primary_key, entity, options)
end

function M:upsert(primary_key, entity, options)
  local ok, err, err_t = check_protocols(self, entity)
  if not ok then
    return nil, err, err_t
  end
  return self.super.upsert(self, primary_key, entity, options)
end

local function is_integer(n)
  return type(n) == "number" and n == n and n ~= math.huge and n ~= -math.huge and n % 1 == 0
end

-- The x.y.z of a version; nil when it is none. Parts may be missing (0), and text may stand around.
local function clean_version(version)
  if type(version) ~= "string" then
    return nil
  end
  local numbers = version:match("%d[%d.]*")
  if not numbers then
    return nil
  end
  local parts = {}
  for part in numbers:gmatch("%d+") do
    parts[#parts + 1] = tostring(tonumber(part))
  end
  if #parts > 3 then
    return nil
  end
  return table.concat(parts, ".")
end

local function load_handler(name)
  local ok, handler = load_if_exists("kong.plugins." .. name .. ".handler")
  if not ok then
    return nil, name .. " plugin is enabled but not installed;\n" .. tostring(handler)
  elseif type(handler) ~= "table" then
    return nil, fmt("Plugin %q cannot be loaded because its handler is not a table, got: %q.\n", name,
      type(handler))
  end

  if not is_integer(handler.PRIORITY) then
    return nil, fmt("Plugin %q cannot be loaded because its PRIORITY field is not a valid integer number, "
      .. "got: %q.\n", name, tostring(handler.PRIORITY))
  end
  local version = clean_version(handler.VERSION)
  if not version then
    return nil, fmt("Plugin %q cannot be loaded because its VERSION field does not follow the \"x.y.z\" "
      .. "format, got: %q.\n", name, tostring(handler.VERSION))
  end
  handler.VERSION = version

  local function has(method)
    return type(handler[method]) == "function"
  end
  if has("response") and (has("header_filter") or has("body_filter")) then
    return nil, fmt("Plugin %q can't be loaded because it implements both `response` and `header_filter` or "
      .. "`body_filter` methods.\n", name)
  end
  return handler
end

-- An entity of a plugin: its schema, strategy and DAO.
local function entity_loader(db)
  return function(plugin, definition)
    ngx.log(ngx.DEBUG, "Loading custom plugin entity: '", plugin, ".", definition.name, "'")
    local schema, err = loader.load_entity_schema(plugin, definition, db.errors, db.judged)
    if not schema then
      return nil, err
    end

    local Strategy = require("kong.db.strategies." .. db.strategy)
    local strategy
    strategy, err = Strategy.new(db.connector, schema, db.errors)
    if not strategy then
      return nil, err
    end
    local custom = fmt("kong.plugins.%s.strategies.%s.%s", plugin, db.strategy, schema.name)
    local exists, module = load_if_exists(custom)
    if exists and module then
      strategies.override(strategy, module)
    end
    db.strategies[schema.name] = strategy
    db.daos[schema.name] = DAO.new(db, schema, strategy, db.errors)
  end
end

local function must_be_null(field)
  return field ~= nil and field.eq == null
end

local function no_handler()
  return {}
end

local function load_plugin(self, name, schema_only)
  local db = self.db
  if not schema_only and constants.DEPRECATED_PLUGINS[name] then
    ngx.log(ngx.WARN, "plugin '", name, "' has been deprecated")
  end
  -- a handler that breaks does not keep the plugin's entities from being known
  local runs, handler, err = pcall(schema_only and no_handler or load_handler, name)
  if not handler then
    return nil, err
  end
  local schema
  schema, err = loader.load_subschema(self.schema, name, db.errors, db.judged)
  if err then
    return nil, err
  end
  for _, entry in ipairs(runs and schema.fields or {}) do
    handler.no_consumer = handler.no_consumer or must_be_null(entry.consumer) or nil
    handler.no_route = handler.no_route or must_be_null(entry.route) or nil
    handler.no_service = handler.no_service or must_be_null(entry.service) or nil
  end

  ngx.log(ngx.DEBUG, "Loading plugin: ", name)
  if db.strategy then -- tests may have none
    local _
    _, err = loader.load_entities(name, db.errors, entity_loader(db))
    if err then
      return nil, err
    end
  end
  if not runs then
    return nil, handler
  end
  return handler
end

--- Loads the plugins in the set `names`: true, or nil and an error that tells of each that failed. With
-- `schema_only` their handlers are left alone.
function M:load_plugin_schemas(names, schema_only)
  self.handlers = nil
  local sorted = {}
  for name in pairs(names) do
    sorted[#sorted + 1] = name
  end
  table.sort(sorted)

  local handlers, errors = {}, {}
  for _, name in ipairs(sorted) do
    local ran, handler, err = pcall(load_plugin, self, name, schema_only)
    if not ran then
      handler, err = nil, handler
    end
    if handler then
      handlers[name] = handler
    else
      errors[#errors + 1] = "on plugin '" .. name .. "': " .. tostring(err)
    end
  end
  if errors[1] then
    return nil, "error loading plugin schemas: " .. table.concat(errors, "; ")
  end
  self.handlers = handlers
  return true
end

-- Higher priorities run first, equal ones by name, backwards.
local function runs_before(a, b)
  local one, other = a.handler.PRIORITY or 0, b.handler.PRIORITY or 0
  if one == other and one ~= 0 then
    return a.name > b.name
  end
  return one > other
end

--- The loaded plugins in their order of execution: a list of { name, handler }.
function M:get_handlers()
  if not self.handlers then
    return nil, "Please invoke Plugins:load_plugin_schemas() before invoking Plugins:get_plugin_handlers"
  end
  local list = {}
  for name, handler in pairs(self.handlers) do
    list[#list + 1] = { name = name, handler = handler }
  end
  table.sort(list, runs_before)
  return list
end

--- The plugins whose configuration names a CA certificate; of these names only, if given.
function M:select_by_ca_certificate(ca_id, limit, plugin_names)
  local kind = type(plugin_names)
  if kind ~= "table" and kind ~= "string" and kind ~= "nil" then
    return nil, "parameter `plugin_names` must be of type table, string, or nil"
  end
  local rows, err = self.strategy:select_by_ca_certificate(ca_id, limit, plugin_names)
  if err then
    return nil, err
  end
  return self:rows_to_entities(rows)
end

return M
