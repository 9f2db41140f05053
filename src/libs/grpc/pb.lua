-- `pb` (lua-protobuf): messages of protocol buffers as tables, by the types that `protoc` or `load` made known.

local wire = require("moongate.libs.pb_wire")

local type, error, pairs, ipairs, tonumber, tostring = type, error, pairs, ipairs, tonumber, tostring
local next, pcall, setmetatable, io = next, pcall, setmetatable, io

local M = { _VERSION = "0.5" }

-- What is known, by name with a dot in front.
local types = {}

-- Settings (pb.option).
local options = {
  enum_as_value = false, int64 = "number", defaults = nil, hooks = false, enchooks = false, encode_defaults = false,
}

local NUMBERS = {
  double = 1, float = 2, int64 = 3, uint64 = 4, int32 = 5, fixed64 = 6, fixed32 = 7, bool = 8, string = 9,
  group = 10, message = 11, bytes = 12, uint32 = 13, enum = 14, sfixed32 = 15, sfixed64 = 16, sint32 = 17,
  sint64 = 18,
}
local NAMES = {}
for name, number in pairs(NUMBERS) do
  NAMES[number] = name
end

local function full(name)
  return name:sub(1, 1) == "." and name or "." .. name
end

local function find(name)
  return type(name) == "string" and types[full(name)] or nil
end

local function known(name)
  local found = find(name)
  if not found or not found.fields then
    error("type '" .. tostring(name) .. "' does not exists", 3)
  end
  return found
end

-- === learning types from descriptors ===

local function learn_enum(scope, enum)
  local self = { name = scope .. "." .. enum.name, kind = "enum", by_name = {}, by_number = {} }
  for _, value in ipairs(enum.value or {}) do
    local number = value.number or 0
    self.by_name[value.name] = number
    self.by_number[number] = self.by_number[number] or value.name
    self.first = self.first or number
  end
  types[self.name] = self
end

-- Kinds that lists are not packed of.
local UNPACKED = { string = true, bytes = true, message = true, group = true }

local function by_number(a, b)
  return a.number < b.number
end

local function learn_field(field, proto3, oneofs)
  local self = {
    name = field.name, number = field.number, kind = field.type and NAMES[field.type], type_name = field.type_name,
    repeated = field.label == 3, required = field.label == 2, default = field.default_value,
  }
  local set = field.options
  if set and set.packed ~= nil then
    self.packed = set.packed
  else
    self.packed = proto3 and self.repeated and not UNPACKED[self.kind]
  end
  local oneof = field.oneof_index and oneofs[field.oneof_index + 1]
  self.oneof = oneof and oneof.name
  -- whether absence is seen: a default is not written then
  self.presence = not proto3 or field.oneof_index ~= nil or field.proto3_optional or false
  return self
end

local function learn_message(scope, message, proto3)
  local name = scope .. "." .. message.name
  local self = { name = name, kind = "message", fields = {}, numbers = {}, list = {}, proto3 = proto3 }
  self.map = message.options and message.options.map_entry or false
  types[name] = self
  for _, field in ipairs(message.field or {}) do
    local learnt = learn_field(field, proto3, message.oneof_decl or {})
    self.fields[learnt.name], self.numbers[learnt.number] = learnt, learnt
    self.list[#self.list + 1] = learnt
  end
  table.sort(self.list, by_number)
  for _, enum in ipairs(message.enum_type or {}) do
    learn_enum(name, enum)
  end
  for _, nested in ipairs(message.nested_type or {}) do
    learn_message(name, nested, proto3)
  end
end

--- Learns the types of a file's descriptor, as a table (what `protoc` does).
function M.learn(file)
  local scope = file.package and file.package ~= "" and "." .. file.package or ""
  local proto3 = file.syntax == "proto3"
  for _, enum in ipairs(file.enum_type or {}) do
    learn_enum(scope, enum)
  end
  for _, message in ipairs(file.message_type or {}) do
    learn_message(scope, message, proto3)
  end
  for _, extension in ipairs(file.extension or {}) do
    local extended = find(extension.extendee or "")
    if extended then
      local field = learn_field(extension, proto3, {})
      field.name = (scope .. "." .. extension.name):sub(2)
      extended.fields[field.name], extended.numbers[field.number] = field, field
      extended.list[#extended.list + 1] = field
      table.sort(extended.list, by_number)
    end
  end
end

-- === the schema of descriptors themselves, for `load` ===

local function descriptors()
  if types[".google.protobuf.FileDescriptorSet"] then
    return
  end
  local function field(name, number, kind, repeated)
    local self = { name = name, number = number, label = repeated and 3 or 1, type = NUMBERS[kind] or 11 }
    self.type_name = not NUMBERS[kind] and ".google.protobuf." .. kind or nil
    return self
  end
  local function message(name, ...)
    return { name = name, field = { ... } }
  end
  M.learn {
    package = "google.protobuf", syntax = "proto2",
    message_type = {
      message("FileDescriptorSet", field("file", 1, "FileDescriptorProto", true)),
      message("FileDescriptorProto", field("name", 1, "string"), field("package", 2, "string"),
        field("dependency", 3, "string", true), field("message_type", 4, "DescriptorProto", true),
        field("enum_type", 5, "EnumDescriptorProto", true), field("service", 6, "ServiceDescriptorProto", true),
        field("extension", 7, "FieldDescriptorProto", true), field("public_dependency", 10, "int32", true),
        field("syntax", 12, "string")),
      message("DescriptorProto", field("name", 1, "string"), field("field", 2, "FieldDescriptorProto", true),
        field("nested_type", 3, "DescriptorProto", true), field("enum_type", 4, "EnumDescriptorProto", true),
        field("extension", 6, "FieldDescriptorProto", true), field("options", 7, "MessageOptions"),
        field("oneof_decl", 8, "OneofDescriptorProto", true)),
      message("FieldDescriptorProto", field("name", 1, "string"), field("extendee", 2, "string"),
        field("number", 3, "int32"), field("label", 4, "int32"), field("type", 5, "int32"),
        field("type_name", 6, "string"), field("default_value", 7, "string"), field("options", 8, "FieldOptions"),
        field("oneof_index", 9, "int32"), field("proto3_optional", 17, "bool")),
      message("OneofDescriptorProto", field("name", 1, "string")),
      message("EnumDescriptorProto", field("name", 1, "string"),
        field("value", 2, "EnumValueDescriptorProto", true)),
      message("EnumValueDescriptorProto", field("name", 1, "string"), field("number", 2, "int32")),
      message("ServiceDescriptorProto", field("name", 1, "string"),
        field("method", 2, "MethodDescriptorProto", true)),
      message("MethodDescriptorProto", field("name", 1, "string"), field("input_type", 2, "string"),
        field("output_type", 3, "string"), field("client_streaming", 5, "bool"),
        field("server_streaming", 6, "bool")),
      message("MessageOptions", field("map_entry", 7, "bool")),
      message("FieldOptions", field("packed", 2, "bool")),
    },
  }
end

--- Learns the types of a FileDescriptorSet, as `protoc -o` writes it. True, or false and where reading stopped.
function M.load(bytes)
  if type(bytes) ~= "string" then
    error("bad argument #1 to 'load' (string expected, got " .. type(bytes) .. ")", 2)
  end
  descriptors()
  local ok, set = pcall(wire.decode, types, types[".google.protobuf.FileDescriptorSet"], bytes, { int64 = "number" })
  if not ok then
    return false, 1
  end
  for _, file in ipairs(set.file or {}) do
    M.learn(file)
  end
  return true, #bytes + 1
end

function M.loadfile(name)
  local file, err = io.open(name, "rb")
  if not file then
    return nil, err
  end
  local bytes = file:read("*a")
  file:close()
  return M.load(bytes)
end

-- === messages ===

--- The bytes of a message.
function M.encode(name, value)
  local message = known(name)
  if value ~= nil and type(value) ~= "table" then
    error("bad argument #2 to 'encode' (table expected, got " .. type(value) .. ")", 2)
  end
  return wire.encode(types, message, value or {}, options)
end

--- The message of bytes; nil and an error where they are none.
function M.decode(name, bytes, into)
  local message = known(name)
  if bytes ~= nil and type(bytes) ~= "string" then
    error("bad argument #2 to 'decode' (string expected, got " .. type(bytes) .. ")", 2)
  end
  local ok, value = pcall(wire.decode, types, message, bytes or "", options, into)
  if not ok then
    return nil, type(value) == "table" and value.text or value
  end
  return value
end

-- === what is known ===

local function describe(found)
  return found.name, found.name:match("[^.]*$"), found.map and "map" or found.kind
end

--- A type's full name, its own name, and "message", "map" or "enum".
function M.type(name)
  local found = find(name)
  if found then
    return describe(found)
  end
end

function M.types()
  local name, found
  return function()
    name, found = next(types, name)
    if found then
      return describe(found)
    end
  end
end

local function describe_field(field)
  local kind = field.kind or ((find(field.type_name or "") or {}).kind)
  local label = field.repeated and (field.packed and "packed" or "repeated") or field.required and "required"
    or "optional"
  return field.name, field.number, field.type_name or kind, field.default, label, field.oneof
end

--- A field by its name or number: name, number, type, default, label, oneof.
function M.field(name, field)
  local found = find(name)
  if not found then
    return nil
  end
  if found.kind == "enum" then
    local number = type(field) == "number" and field or found.by_name[field]
    if number and found.by_number[number] then
      return type(field) == "number" and found.by_number[field] or field, number
    end
    return nil
  end
  local one = found.fields[field] or found.numbers[tonumber(field) or 0]
  if one then
    return describe_field(one)
  end
end

function M.fields(name)
  local list, at = known(name).list, 0
  return function()
    at = at + 1
    if list[at] then
      return describe_field(list[at])
    end
  end
end

--- A value of an enumeration by its name, or the name by the value.
function M.enum(name, value)
  local found = find(name)
  if found and found.kind == "enum" then
    return type(value) == "number" and found.by_number[value] or found.by_name[value]
  end
end

--- A new table with a message's defaults.
function M.defaults(name)
  return wire.defaults(types, known(name), options)
end

--- Forgets a type, or all.
function M.clear(name)
  if name then
    types[full(name)] = nil
  else
    types = {}
  end
end

local function hooks(field)
  return function(name, f)
    local found = find(name)
    if not found then
      error("type not found", 2)
    end
    local before = found[field]
    if f ~= nil then
      found[field] = f or nil
    end
    return before
  end
end

M.hook = hooks("hook")
M.encode_hook = hooks("encode_hook")

local SETTERS = {
  enum_as_name = { "enum_as_value", false }, enum_as_value = { "enum_as_value", true },
  int64_as_number = { "int64", "number" }, int64_as_string = { "int64", "string" },
  int64_as_hexstring = { "int64", "hex" },
  auto_default_values = { "defaults", nil }, no_default_values = { "defaults", "none" },
  use_default_values = { "defaults", "copy" }, use_default_metatable = { "defaults", "metatable" },
  enable_hooks = { "hooks", true }, disable_hooks = { "hooks", false },
  enable_enchooks = { "enchooks", true }, disable_enchooks = { "enchooks", false },
  encode_default_values = { "encode_defaults", true }, no_encode_default_values = { "encode_defaults", false },
  decode_default_array = { "arrays", true }, no_decode_default_array = { "arrays", false },
  decode_default_message = { "messages", true }, no_decode_default_message = { "messages", false },
  encode_order = { "ordered", true }, no_encode_order = { "ordered", false },
}

--- Changes a setting, by lua-protobuf's names.
function M.option(name)
  local set = SETTERS[name]
  if not set then
    error("bad argument #1 to 'option' (invalid option '" .. tostring(name) .. "')", 2)
  end
  options[set[1]] = set[2]
end

function M.tohex(bytes)
  return (bytes:gsub(".", function(c)
    return ("%02X "):format(c:byte())
  end):gsub(" $", ""))
end

function M.fromhex(text)
  return (text:gsub("%X", ""):gsub("%x%x", function(digits)
    return string.char(tonumber(digits, 16))
  end))
end

return setmetatable(M, { __tostring = function() return "pb" end })
