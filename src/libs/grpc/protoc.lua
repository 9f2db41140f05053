-- `protoc` (lua-protobuf): reads .proto files, as tables of the shape of FileDescriptorProto, and tells `pb`.

local pb = require("pb")
local lexer = require("moongate.libs.proto_lexer")
local known_files = require("moongate.libs.proto_files")

local error, ipairs, next, rawget, tostring, setmetatable = error, ipairs, next, rawget, tostring, setmetatable
local io = io

local M = { paths = { ".", "" }, include_imports = true, experimental_allow_proto3_optional = true }
M.__index = M

local SCALARS = {
  double = 1, float = 2, int64 = 3, uint64 = 4, int32 = 5, fixed64 = 6, fixed32 = 7, bool = 8, string = 9, bytes = 12,
  uint32 = 13, sfixed32 = 15, sfixed64 = 16, sint32 = 17, sint64 = 18,
}
local LABELS = { optional = 1, required = 2, repeated = 3 }
local MESSAGE, ENUM, GROUP = 11, 14, 10

--- A parser with files and paths of its own.
function M.new()
  return setmetatable({ paths = { ".", "" }, loaded = {}, names = {}, include_imports = true }, M)
end

--- Looks for imports in `path`, too, before the others.
function M:addpath(path)
  table.insert(self.paths, path)
end

function M:reset()
  self.loaded, self.names = {}, {}
  return self
end

-- === the grammar ===

local function add(owner, list, value)
  local values = owner[list]
  if not values then
    values = {}
    owner[list] = values
  end
  values[#values + 1] = value
  return value
end

local parse_message

-- { name: value, ... } in the text format, to its closing brace.
local function aggregate(lex, close)
  local out = {}
  while not lex:take(close) do
    local name = lex:take("[") and lex:until_symbol("]") or lex:ident("name")
    local value
    if lex:take("{") then
      value = aggregate(lex, "}")
    else
      lex:expect(":")
      if lex:take("{") then
        value = aggregate(lex, "}")
      elseif lex:take("[") then
        value = {}
        while not lex:take("]") do
          value[#value + 1] = lex:take("{") and aggregate(lex, "}") or lex:constant()
          lex:take(",")
        end
      else
        value = lex:constant()
      end
    end
    out[name] = value
    if not lex:take(",") then
      lex:take(";")
    end
  end
  return out
end

-- name = value of an option, without what is around it.
local function option(lex, into)
  local name = ""
  repeat
    if lex:take("(") then
      name = name .. lex:full_ident():gsub("^%.", "")
      lex:expect(")")
    else
      name = name .. lex:full_ident()
    end
  until not lex:take(".") and not lex:dotted(function() name = name .. "." end)
  lex:expect("=")
  into[name] = lex:take("{") and aggregate(lex, "}") or lex:constant()
end

local function option_statement(lex, owner)
  owner.options = owner.options or {}
  option(lex, owner.options)
  lex:take(";") -- after { ... } it may be missing
end

local function field_options(lex, field)
  if not lex:take("[") then
    return
  end
  local options = {}
  repeat
    option(lex, options)
  until not lex:take(",")
  lex:expect("]")
  if options.default ~= nil then
    field.default_value, options.default = tostring(options.default), nil
  end
  field.json_name, options.json_name = options.json_name, nil
  field.options = next(options) and options or nil
end

local function set_type(field, name)
  field.type = SCALARS[name]
  if not field.type then
    field.type_name = name
  end
end

local function map_field(lex, message)
  lex:expect("<")
  local key = lex:full_ident()
  lex:expect(",")
  local value = lex:full_ident()
  lex:expect(">")
  local field = add(message, "field", { name = lex:ident("field name"), label = LABELS.repeated })
  lex:expect("=")
  field.number = lex:integer()
  field_options(lex, field)
  lex:expect(";")
  local entry = field.name:gsub("_?(%w)([^_]*)", function(first, rest) return first:upper() .. rest end) .. "Entry"
  field.type_name = entry
  local of_key, of_value = { name = "key", number = 1, label = 1 }, { name = "value", number = 2, label = 1 }
  set_type(of_key, key)
  set_type(of_value, value)
  add(message, "nested_type", { name = entry, field = { of_key, of_value }, options = { map_entry = true } })
end

-- A field, whose label and type were read.
local function field_after(lex, file, owner, list, label, kind, scope)
  local field = { label = LABELS[label] or LABELS.optional }
  if kind == "group" then
    field.name = lex:ident("group name")
    lex:expect("=")
    field.number, field.type, field.type_name = lex:integer(), GROUP, field.name
    local group = add(scope or owner, "nested_type", { name = field.name })
    lex:expect("{")
    parse_message(lex, file, group)
    field.name = field.name:lower()
    return add(owner, list, field)
  end
  set_type(field, kind)
  field.name = lex:ident("field name")
  lex:expect("=")
  field.number = lex:integer()
  field_options(lex, field)
  lex:expect(";")
  if label == "optional" and file.syntax == "proto3" then
    field.proto3_optional = true
  end
  return add(owner, list, field)
end

local function oneof(lex, file, message)
  add(message, "oneof_decl", { name = lex:ident("oneof name") })
  local index = #message.oneof_decl - 1
  lex:expect("{")
  while not lex:take("}") do
    if lex:keyword("option") then
      option_statement(lex, message.oneof_decl[index + 1])
    elseif not lex:take(";") then
      local kind = lex:full_ident()
      field_after(lex, file, message, "field", nil, kind).oneof_index = index
    end
  end
end

local function parse_enum(lex, enum)
  lex:expect("{")
  while not lex:take("}") do
    if lex:keyword("option") then
      option_statement(lex, enum)
    elseif lex:keyword("reserved") then
      lex:until_symbol(";")
    elseif not lex:take(";") then
      local value = add(enum, "value", { name = lex:ident("name") })
      lex:expect("=")
      value.number = lex:integer()
      field_options(lex, value)
      lex:expect(";")
    end
  end
  return enum
end

local function extend(lex, file, owner)
  local extendee = lex:full_ident()
  lex:expect("{")
  while not lex:take("}") do
    if not lex:take(";") then
      local label = lex:label()
      field_after(lex, file, owner, "extension", label, lex:full_ident(), owner).extendee = extendee
    end
  end
end

parse_message = function(lex, file, message)
  while not lex:take("}") do
    if lex:keyword("option") then
      option_statement(lex, message)
    elseif lex:keyword("message") then
      local nested = add(message, "nested_type", { name = lex:ident("message name") })
      lex:expect("{")
      parse_message(lex, file, nested)
    elseif lex:keyword("enum") then
      parse_enum(lex, add(message, "enum_type", { name = lex:ident("enum name") }))
    elseif lex:keyword("oneof") then
      oneof(lex, file, message)
    elseif lex:keyword("extend") then
      extend(lex, file, message)
    elseif lex:keyword("reserved") or lex:keyword("extensions") then
      lex:until_symbol(";")
    elseif lex:keyword("map", "<") then
      map_field(lex, message)
    elseif not lex:take(";") then
      local label = lex:label()
      field_after(lex, file, message, "field", label, lex:full_ident())
    end
  end
  return message
end

local function method_type(lex)
  lex:expect("(")
  local streaming = lex:keyword("stream") or nil
  local name = lex:full_ident()
  lex:expect(")")
  return name, streaming
end

local function service(lex, file)
  local self = add(file, "service", { name = lex:ident("service name") })
  lex:expect("{")
  while not lex:take("}") do
    if lex:keyword("option") then
      option_statement(lex, self)
    elseif lex:keyword("rpc") then
      local method = add(self, "method", { name = lex:ident("method name") })
      method.input_type, method.client_streaming = method_type(lex)
      lex:expect_word("returns")
      method.output_type, method.server_streaming = method_type(lex)
      if lex:take("{") then
        while not lex:take("}") do
          if lex:keyword("option") then
            option_statement(lex, method)
          else
            lex:expect(";")
          end
        end
      end
      lex:take(";")
    else
      lex:expect(";")
    end
  end
end

local TOP = {
  syntax = function(lex, file)
    lex:expect("=")
    file.syntax = lex:constant()
    lex:expect(";")
  end,
  package = function(lex, file)
    file.package = lex:full_ident()
    lex:expect(";")
  end,
  import = function(lex, file)
    local public, weak = lex:keyword("public"), lex:keyword("weak")
    local name = lex:constant()
    add(file, "dependency", name)
    -- as lua-protobuf has it, an import that says nothing is public
    add(file, weak and not public and "weak_dependency" or "public_dependency", #file.dependency - 1)
    lex:expect(";")
  end,
  option = option_statement,
  message = function(lex, file)
    local message = add(file, "message_type", { name = lex:ident("message name") })
    lex:expect("{")
    parse_message(lex, file, message)
  end,
  enum = function(lex, file)
    parse_enum(lex, add(file, "enum_type", { name = lex:ident("enum name") }))
  end,
  service = service,
  extend = function(lex, file)
    extend(lex, file, file)
  end,
}

local function parse_file(text, name)
  local lex = lexer.new(text, name)
  local file = { name = name, syntax = "proto2" }
  while not lex:done() do
    if not lex:take(";") then
      local word = lex:ident("keyword")
      local rule = TOP[word]
      if not rule then
        lex:fail("unknown keyword '" .. word .. "'")
      end
      rule(lex, file)
    end
  end
  return file
end

-- === names ===

local function declare(names, scope, owner)
  for _, list in ipairs { "message_type", "nested_type" } do
    for _, message in ipairs(owner[list] or {}) do
      local name = scope .. "." .. message.name
      names[name] = MESSAGE
      declare(names, name, message)
    end
  end
  for _, enum in ipairs(owner.enum_type or {}) do
    names[scope .. "." .. enum.name] = ENUM
  end
end

-- The full name of a type that is named in `scope`: the innermost one.
local function resolve(names, scope, name)
  if name:sub(1, 1) == "." then
    return name, names[name]
  end
  while true do
    local full = scope .. "." .. name
    if names[full] then
      return full, names[full]
    elseif scope == "" then
      return nil
    end
    scope = scope:match("^(.*)%.[^.]*$") or ""
  end
end

local function resolve_fields(self, file, scope, fields)
  for _, field in ipairs(fields or {}) do
    if field.type_name then
      local full, kind = resolve(self.names, scope, field.type_name)
      if not full then
        error(file.name .. ": unknown type '" .. field.type_name .. "'", 0)
      end
      field.type_name, field.type = full, field.type or kind
    end
    if field.extendee then
      field.extendee = resolve(self.names, scope, field.extendee) or "." .. field.extendee
    end
  end
end

local function resolve_messages(self, file, scope, messages)
  for _, message in ipairs(messages or {}) do
    local name = scope .. "." .. message.name
    resolve_fields(self, file, name, message.field)
    resolve_fields(self, file, name, message.extension)
    resolve_messages(self, file, name, message.nested_type)
  end
end

local function resolve_file(self, file)
  local scope = file.package and "." .. file.package or ""
  declare(self.names, scope, file)
  resolve_messages(self, file, scope, file.message_type)
  resolve_fields(self, file, scope, file.extension)
  for _, one in ipairs(file.service or {}) do
    for _, method in ipairs(one.method or {}) do
      for _, at in ipairs { "input_type", "output_type" } do
        local full = resolve(self.names, scope, method[at])
        if not full then
          error(file.name .. ": unknown type '" .. method[at] .. "'", 0)
        end
        method[at] = full
      end
    end
  end
end

-- === files ===

local function read(self, name)
  for i = #self.paths, 1, -1 do
    local path = self.paths[i]
    local file = io.open(path ~= "" and path .. "/" .. name or name, "rb")
    if file then
      local text = file:read("*a")
      file:close()
      return text
    end
  end
  return known_files[name]
end

local function own(self)
  if rawget(self, "loaded") then
    return self
  end
  local default = rawget(M, "default") or M.new()
  M.default = default
  return default
end

--- The descriptor of a text; `name` is that of its file. Raises where it cannot be read.
function M:parse(text, name)
  self = own(self)
  name = name or "<input>"
  local file = parse_file(text, name)
  self.loaded[name] = file
  for _, dependency in ipairs(file.dependency or {}) do
    if not self.loaded[dependency] then
      self:parsefile(dependency)
    end
  end
  resolve_file(self, file)
  return file
end

--- The descriptor of a file, found by the paths.
function M:parsefile(name)
  self = own(self)
  local known = self.loaded[name]
  if known then
    return known
  end
  local text = read(self, name)
  if not text then
    error("module load error: " .. name .. "\n\tno file '" .. name .. "' in the paths", 0)
  end
  return self:parse(text, name)
end

local function tell(self, file, told)
  if told[file] then
    return
  end
  told[file] = true
  for _, dependency in ipairs(file.dependency or {}) do
    local needed = self.loaded[dependency]
    if needed then
      tell(self, needed, told)
    end
  end
  pb.learn(file)
end

--- Reads a text and makes its types known to `pb`. True.
function M:load(text, name)
  self = own(self)
  tell(self, self:parse(text, name), {})
  return true
end

--- The same of a file.
function M:loadfile(name)
  self = own(self)
  tell(self, self:parsefile(name), {})
  return true
end

for _, name in ipairs { "compile", "compilefile" } do
  M[name] = function()
    error("not supported: protoc." .. name, 2)
  end
end

return M
