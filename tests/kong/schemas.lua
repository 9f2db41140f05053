-- Every plugin of a Kong checkout: its schema.lua and daos.lua load unmodified, its subschema can be made,
-- and an empty configuration is completed. Run from a tree with kong/plugins by `moongate spec`.
-- MOONGATE_PLUGIN_SCHEMAS may name a list of the defaults to expect: lines "config.FIELD: TYPE ...
-- default=VALUE ..." under headings "## PLUGIN".

local lfs = require "lfs"

local null = ngx.null

-- === the list ===

-- What follows a default on its line.
local AFTER = { "one_of", "len_min", "between", "gt", "custom_validator", "referenceable", "encrypted",
  "match" }

-- Reads "{a=b,{c=d},e}" as a table, and anything else up to a comma or brace as text. Returns it and where
-- it ends.
local function read_value(text, at)
  if text:sub(at, at) ~= "{" then
    local stop = text:find("[,}]", at) or #text + 1
    return text:sub(at, stop - 1), stop
  end
  local out = {}
  at = at + 1
  while text:sub(at, at) ~= "}" do
    local key, from = text:match("^([%w_]+)=()", at)
    local value
    value, at = read_value(text, from or at)
    if key then
      out[key] = value
    elseif value ~= "" then
      out[#out + 1] = value
    end
    if text:sub(at, at) == "," then
      at = at + 1
    else
      assert(text:sub(at, at) == "}", "cannot read " .. text)
    end
  end
  return out, at + 1
end

local function default_in(rest)
  local text = rest:match("default=(.*)$")
  if not text then
    return nil
  elseif text:sub(1, 1) == "{" then
    return (read_value(text:match("^%b{}"), 1))
  end
  for _, word in ipairs(AFTER) do
    text = text:gsub(" " .. word .. "[= ].*$", ""):gsub(" " .. word .. "$", "")
  end
  return text
end

-- Plugin name to field path to what the list says of it.
local function read_list(name)
  local plugins, current = {}, nil
  for line in io.lines(name) do
    local heading = line:match("^## ([%w-]+)$")
    if heading then
      current = {}
      plugins[heading] = current
    elseif current then
      local path, kind, rest = line:match("^config%.([%w_.%[%]-]+): (%S+)(.*)$")
      if path and not path:find("[", 1, true) then
        current[path] = {
          kind = kind,
          optional = rest:find("required=false", 1, true) ~= nil,
          default = default_in(rest),
        }
      end
    end
  end
  return plugins
end

-- === comparing ===

-- The value expected at a path: the field's default, or what the default of a record above it says, and
-- nothing below a record that may be left out and has no default.
local function expected(plugin, path)
  local value = plugin[path].default
  local parent, key = path:match("^(.*)%.([^.]+)$")
  while parent do
    local record = plugin[parent]
    if record and type(record.default) == "table" and record.default[key] ~= nil then
      value = record.default[key]
    elseif record and record.optional and record.default == nil then
      return nil
    end
    parent, key = parent:match("^(.*)%.([^.]+)$")
  end
  return value
end

local function text(v)
  if type(v) ~= "table" then
    return type(v) == "number" and ("%.14g"):format(v) or tostring(v)
  end
  local out = {}
  for k, item in pairs(v) do
    out[#out + 1] = (type(k) == "number" and "" or k .. "=") .. text(item)
  end
  table.sort(out)
  return "{" .. table.concat(out, ",") .. "}"
end

-- Records may be completed with more than their default says; lists may be in any order.
local function agrees(want, got)
  if type(want) ~= "table" or type(got) ~= "table" then
    return text(want) == text(got)
  elseif next(want) == nil then
    return true
  end
  local left = {}
  for k, v in pairs(got) do
    left[k] = v
  end
  for k, v in pairs(want) do
    local found
    if type(k) == "number" then
      for at, item in pairs(left) do
        if type(at) == "number" and agrees(v, item) then
          left[at], found = nil, true
          break
        end
      end
    else
      found = agrees(v, got[k])
    end
    if not found then
      return false
    end
  end
  return #want == 0 or #want == #got
end

local function value_at(config, path)
  for name in path:gmatch("[^.]+") do
    if type(config) ~= "table" then
      return nil
    end
    config = config[name]
  end
  if config == null then
    return nil
  end
  return config
end

-- The differences as lines, and how many fields were compared.
local function compare(plugin, config)
  local paths, differences = {}, {}
  for path in pairs(plugin) do
    paths[#paths + 1] = path
  end
  table.sort(paths)
  for _, path in ipairs(paths) do
    local want, got = expected(plugin, path), value_at(config, path)
    local same
    if want == nil then
      same = got == nil or plugin[path].kind == "record"
    else
      same = agrees(want, got)
    end
    if not same then
      differences[#differences + 1] = ("%s: expected %s, got %s"):format(path, text(want), text(got))
    end
  end
  return differences, #paths
end

-- === plugins ===

-- Fields whose default is random: any text will do.
local RANDOM = { oauth2 = "provision_key", session = "secret" }

local function names()
  local out = {}
  for name in lfs.dir("kong/plugins") do
    if lfs.attributes("kong/plugins/" .. name .. "/schema.lua", "mode") == "file" then
      out[#out + 1] = name
    end
  end
  table.sort(out)
  return out
end

-- Loads a plugin into the schema of plugins; how many entities its daos.lua has.
local function load(schema, Entity, name)
  local definition = require("kong.plugins." .. name .. ".schema")
  local entities = 0
  if lfs.attributes("kong/plugins/" .. name .. "/daos.lua", "mode") == "file" then
    for _, dao in pairs(require("kong.plugins." .. name .. ".daos")) do
      assert(Entity.new(dao))
      entities = entities + 1
    end
  end
  local ok, err = schema:new_subschema(name, definition)
  if not ok then
    error(type(err) == "table" and text(err) or err, 0)
  end
  return entities
end

describe("plugins of a Kong checkout", function()
  local Entity = require "kong.db.schema.entity"
  for _, name in ipairs { "workspaces", "certificates", "consumers", "services", "routes" } do
    assert(Entity.new(require("kong.db.schema.entities." .. name)))
  end
  local schema = assert(Entity.new(require "kong.db.schema.entities.plugins"))
  local list = os.getenv("MOONGATE_PLUGIN_SCHEMAS")
  local wanted = list and read_list(list)
  local plugins = names()
  local lines, loaded, equal, fields = {}, 0, 0, 0

  local function check(name)
    local ok, entities = pcall(load, schema, Entity, name)
    if not ok then
      return nil, "does not load: " .. tostring(entities):match("^[^\n]*")
    end
    loaded = loaded + 1
    local complete, problem = schema:process_auto_fields({ name = name, config = {} }, "insert")
    if not complete then
      return nil, "is not completed: " .. text(problem)
    end
    local said = ("loads with %d entities"):format(entities)
    if not wanted then
      return said
    elseif not wanted[name] then
      return nil, said .. ", is not in the list"
    end
    local random = RANDOM[name]
    if random then
      assert.is_string(complete.config[random])
      wanted[name][random].default = complete.config[random]
    end
    local differences, n = compare(wanted[name], complete.config)
    fields = fields + n
    if #differences > 0 then
      return nil, said .. ", defaults differ: " .. table.concat(differences, "; ")
    end
    equal = equal + 1
    return ("%s, %d defaults equal"):format(said, n)
  end

  for _, name in ipairs(plugins) do
    it(name, function()
      local said, problem = check(name)
      lines[#lines + 1] = ("%-28s %s"):format(name, said or problem)
      assert(said, problem)
    end)
  end

  it("are Kong's 45", function()
    assert.equal(45, #plugins)
  end)

  teardown(function()
    table.sort(lines)
    io.write("\n", table.concat(lines, "\n"), "\n")
    io.write(("%d of %d plugins load"):format(loaded, #plugins))
    io.write(wanted and (", %d with equal defaults (%d fields)\n"):format(equal, fields) or "\n")
  end)
end)
