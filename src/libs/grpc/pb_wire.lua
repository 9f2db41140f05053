-- The wire format of protocol buffers: tables to bytes and back, for `pb`.

local ffi = require("ffi")
local bit = require("bit")
local buffer = require("string.buffer")

local type, error, pairs, ipairs, tonumber, tostring, pcall = type, error, pairs, ipairs, tonumber, tostring, pcall
local setmetatable, floor = setmetatable, math.floor
local char, byte, sub = string.char, string.byte, string.sub
local band, rshift, bor, lshift, bxor, arshift = bit.band, bit.rshift, bit.bor, bit.lshift, bit.bxor, bit.arshift

local int64, uint64 = ffi.typeof("int64_t"), ffi.typeof("uint64_t")
local word = ffi.new("union { double d; float f[2]; uint64_t q; uint32_t i[2]; uint8_t b[8]; }")

-- How deep messages may be within messages.
local DEEPEST = 100

local M = {}

-- === numbers ===

-- Whole numbers of 64 bits from what plugins give: numbers, and texts with "#" or without, decimal or hexadecimal.
local function whole(value, field)
  if type(value) == "number" then
    if value ~= floor(value) then
      error("bad argument #2 to 'encode' (integer format error for field '" .. field.name .. "', got number)", 0)
    end
    if value >= 2 ^ 63 then
      return uint64(value)
    end
    return ffi.cast(uint64, int64(value))
  elseif type(value) == "string" then
    local sign, digits = value:match("^#?([+-]?)(%w+)$")
    local hex = digits and digits:match("^0[xX](%x+)$")
    local out = uint64(0)
    if hex then
      for i = 1, #hex do
        out = out * 16 + tonumber(hex:sub(i, i), 16)
      end
    elseif digits and digits:match("^%d+$") then
      for i = 1, #digits do
        out = out * 10 + tonumber(digits:sub(i, i))
      end
    else
      error("bad argument #2 to 'encode' (integer format error: '" .. value .. "')", 0)
    end
    return sign == "-" and -out or out
  elseif type(value) == "boolean" then
    return uint64(value and 1 or 0)
  elseif ffi.istype(int64, value) or ffi.istype(uint64, value) then
    return ffi.cast(uint64, value)
  end
  error("number expected for field '" .. field.name .. "', got " .. type(value), 0)
end

local function put_varint(out, n)
  if type(n) == "number" and n >= 0 and n < 0x80000000 then
    while n >= 0x80 do
      out:put(char(bor(band(n, 0x7f), 0x80)))
      n = rshift(n, 7)
    end
    out:put(char(n))
    return
  end
  n = ffi.cast(uint64, n)
  while n >= 0x80 do
    out:put(char(tonumber(bor(band(n, 0x7f), 0x80))))
    n = rshift(n, 7)
  end
  out:put(char(tonumber(n)))
end

local function put_text(out, value)
  put_varint(out, #value)
  out:put(value)
end

local function text_of(value, field)
  if type(value) == "number" then
    return tostring(value)
  elseif type(value) ~= "string" then
    error("string expected for field '" .. field.name .. "', got " .. type(value), 0)
  end
  return value
end

local function float_of(value, field)
  local n = tonumber(value)
  if not n then
    error("number expected for field '" .. field.name .. "', got " .. type(value), 0)
  end
  return n
end

local function zigzag(n)
  n = ffi.cast(int64, n)
  return ffi.cast(uint64, bxor(lshift(n, 1), arshift(n, 63)))
end

local VARINT, EIGHT, TEXT, FOUR = 0, 1, 2, 5

local function put_four(out)
  out:put(ffi.string(word.b, 4))
end

local function put_eight(out)
  out:put(ffi.string(word.b, 8))
end

local function put_plain(out, value, field)
  put_varint(out, whole(value, field))
end

-- kind = { wire type, writer }
local WRITERS = {
  int32 = { VARINT, put_plain }, int64 = { VARINT, put_plain }, uint64 = { VARINT, put_plain },
  uint32 = { VARINT, function(out, value, field)
    put_varint(out, band(whole(value, field), 0xffffffffULL))
  end },
  sint32 = { VARINT, function(out, value, field)
    put_varint(out, band(zigzag(whole(value, field)), 0xffffffffULL))
  end },
  sint64 = { VARINT, function(out, value, field)
    put_varint(out, zigzag(whole(value, field)))
  end },
  bool = { VARINT, function(out, value)
    out:put(value and value ~= 0 and "\1" or "\0")
  end },
  double = { EIGHT, function(out, value, field)
    word.d = float_of(value, field)
    put_eight(out)
  end },
  float = { FOUR, function(out, value, field)
    word.f[0] = float_of(value, field)
    put_four(out)
  end },
  fixed64 = { EIGHT, function(out, value, field)
    word.q = whole(value, field)
    put_eight(out)
  end },
  fixed32 = { FOUR, function(out, value, field)
    word.q = whole(value, field)
    put_four(out)
  end },
  string = { TEXT, function(out, value, field)
    put_text(out, text_of(value, field))
  end },
}
WRITERS.sfixed64, WRITERS.sfixed32, WRITERS.bytes = WRITERS.fixed64, WRITERS.fixed32, WRITERS.string

-- === writing ===

-- The kind of a field; one made by `protoc` may say only the name of its type.
local function kind_of(types, field)
  local kind = field.kind
  if not kind or kind == "message" or kind == "enum" then
    local target = types[field.type_name]
    if not target then
      error("type '" .. tostring(field.type_name) .. "' does not exists", 0)
    end
    return target.kind, target
  end
  return kind
end

local encode_message

local function enum_number(value, target)
  if type(value) == "string" and target.by_name[value] then
    return target.by_name[value]
  elseif type(value) == "string" and not tonumber(value) then
    error("unknown enum value '" .. value .. "' of type '" .. target.name .. "'", 0)
  end
  return tonumber(value)
end

-- One value without its tag.
local function put_value(types, out, field, kind, target, value, options, depth)
  if kind == "message" then
    if options.enchooks and target.encode_hook then
      value = target.encode_hook(value)
    end
    if type(value) ~= "table" then
      error("table expected at field '" .. field.name .. "', got " .. type(value), 0)
    end
    put_text(out, encode_message(types, target, value, options, depth + 1))
  elseif kind == "enum" then
    put_varint(out, ffi.cast(uint64, int64(enum_number(value, target))))
  else
    WRITERS[kind][2](out, value, field)
  end
end

local function tag(field, wire_type)
  return field.number * 8 + wire_type
end

local function wire_of(kind)
  return kind == "message" and TEXT or kind == "enum" and VARINT or WRITERS[kind][1]
end

-- What is not written where absence is not seen.
local function is_default(kind, target, value)
  if kind == "message" then
    return false
  elseif kind == "enum" then
    return value == 0 or target.by_name[value] == 0
  end
  return value == 0 or value == "" or value == false
end

local function put_list(types, out, field, kind, target, values, options, depth)
  if type(values) ~= "table" then
    error("table expected at field '" .. field.name .. "', got " .. type(values), 0)
  end
  local wire_type = wire_of(kind)
  if field.packed and wire_type ~= TEXT then
    if values[1] == nil then
      return
    end
    local list = buffer.new()
    for _, value in ipairs(values) do
      put_value(types, list, field, kind, target, value, options, depth)
    end
    put_varint(out, tag(field, TEXT))
    return put_text(out, list:get())
  end
  for _, value in ipairs(values) do
    put_varint(out, tag(field, wire_type))
    put_value(types, out, field, kind, target, value, options, depth)
  end
end

local function put_map(types, out, field, entry, values, options, depth)
  if type(values) ~= "table" then
    error("table expected at field '" .. field.name .. "', got " .. type(values), 0)
  end
  for key, value in pairs(values) do
    put_varint(out, tag(field, TEXT))
    put_text(out, encode_message(types, entry, { key = key, value = value }, options, depth + 1))
  end
end

encode_message = function(types, message, value, options, depth)
  if depth > DEEPEST then
    error("too many nested messages", 0)
  end
  local out = buffer.new()
  for _, field in ipairs(message.list) do
    local given = value[field.name]
    if given ~= nil then
      local kind, target = kind_of(types, field)
      if field.repeated and target and target.map then
        put_map(types, out, field, target, given, options, depth)
      elseif field.repeated then
        put_list(types, out, field, kind, target, given, options, depth)
      elseif field.presence or message.map or options.encode_defaults or not is_default(kind, target, given) then
        put_varint(out, tag(field, wire_of(kind)))
        put_value(types, out, field, kind, target, given, options, depth)
      end
    end
  end
  return out:get()
end

--- The bytes of `value`, a table, as a message.
function M.encode(types, message, value, options)
  if options.enchooks and message.encode_hook then
    value = message.encode_hook(value)
  end
  return encode_message(types, message, value, options, 1)
end

-- === reading ===

local function short()
  error({ text = "bad argument #2 to 'decode' (unfinished bytes)" }, 0)
end

-- A varint as a number where it is small, else as a uint64.
local function get_varint(bytes, at, last)
  local n, shift = 0, 0
  while true do
    local b = at <= last and byte(bytes, at) or short()
    at = at + 1
    if shift < 28 then
      n = n + band(b, 0x7f) * 2 ^ shift
    else
      if shift == 28 then
        n = uint64(n)
      elseif shift > 63 then
        error({ text = "bad argument #2 to 'decode' (invalid varint value at offset " .. at .. ")" }, 0)
      end
      n = bor(n, lshift(uint64(band(b, 0x7f)), shift))
    end
    if b < 0x80 then
      return n, at
    end
    shift = shift + 7
  end
end

local function take(bytes, at, last, n)
  if at + n - 1 > last then
    short()
  end
  return sub(bytes, at, at + n - 1), at + n
end

-- 64 bits as the options want them.
local function wide(n, signed, options)
  if signed then
    n = ffi.cast(int64, n)
  end
  local as_number = tonumber(n)
  if options.int64 == "number" or (as_number < 2 ^ 53 and as_number > -2 ^ 53 and options.int64 ~= "hex") then
    return as_number
  elseif options.int64 == "hex" then
    return "#0x" .. bit.tohex(n, 16):gsub("^0+(.)", "%1"):upper()
  end
  return "#" .. tostring(n):gsub("U?LL$", "")
end

local function low(n)
  return tonumber(ffi.cast("int32_t", ffi.cast(uint64, n)))
end

local function unzigzag(n)
  n = ffi.cast(uint64, n)
  return ffi.cast(int64, bxor(rshift(n, 1), -band(n, 1)))
end

-- kind = { wire type, f(raw, options) }: the raw is a varint, or bytes
local READERS = {
  int32 = { VARINT, low },
  enum = { VARINT, low },
  int64 = { VARINT, function(n, options) return wide(ffi.cast(uint64, n), true, options) end },
  uint64 = { VARINT, function(n, options) return wide(ffi.cast(uint64, n), false, options) end },
  uint32 = { VARINT, function(n) return tonumber(band(ffi.cast(uint64, n), 0xffffffffULL)) end },
  sint32 = { VARINT, function(n) return tonumber(unzigzag(n)) end },
  sint64 = { VARINT, function(n, options) return wide(unzigzag(n), true, options) end },
  bool = { VARINT, function(n) return n ~= 0 end },
  double = { EIGHT, function() return word.d end },
  fixed64 = { EIGHT, function(_, options) return wide(word.q, false, options) end },
  sfixed64 = { EIGHT, function(_, options) return wide(word.q, true, options) end },
  float = { FOUR, function() return tonumber(word.f[0]) end },
  fixed32 = { FOUR, function() return word.i[0] end },
  sfixed32 = { FOUR, function() return low(word.i[0]) end },
  string = { TEXT, function(bytes) return bytes end },
  bytes = { TEXT, function(bytes) return bytes end },
}

local function get_raw(bytes, at, last, wire_type)
  if wire_type == VARINT then
    return get_varint(bytes, at, last)
  elseif wire_type == TEXT then
    local n
    n, at = get_varint(bytes, at, last)
    return take(bytes, at, last, tonumber(n))
  elseif wire_type == EIGHT or wire_type == FOUR then
    return take(bytes, at, last, wire_type == EIGHT and 8 or 4)
  end
  error({ text = "bad argument #2 to 'decode' (invalid wiretype " .. wire_type .. ")" }, 0)
end

local decode_message

local function value_of(types, kind, target, raw, options, depth)
  if kind == "message" then
    return decode_message(types, target, raw, options, nil, depth + 1)
  elseif kind == "enum" then
    local number = low(raw)
    return not options.enum_as_value and target.by_number[number] or number
  end
  local reader = READERS[kind]
  if reader[1] == EIGHT or reader[1] == FOUR then
    ffi.copy(word.b, raw, #raw)
  end
  return reader[2](raw, options)
end

local function get_packed(types, kind, target, raw, options, depth, list)
  local at, last, wire_type = 1, #raw, READERS[kind][1]
  while at <= last do
    local one
    one, at = get_raw(raw, at, last, wire_type)
    list[#list + 1] = value_of(types, kind, target, one, options, depth)
  end
end

local function keep(types, message, field, wire_type, raw, options, out, depth)
  local kind, target = kind_of(types, field)
  local expected = kind == "message" and TEXT or READERS[kind][1]
  if not field.repeated then
    if wire_type ~= expected then
      error({
        text = "type mismatch for field '" .. field.name .. "' at offset, expected " .. kind .. " for type "
          .. message.name,
      }, 0)
    end
    out[field.name] = value_of(types, kind, target, raw, options, depth)
    if field.oneof then
      out[field.oneof] = options.oneofs and field.name or out[field.oneof]
    end
    return
  end
  local list = out[field.name]
  if not list then
    list = {}
    out[field.name] = list
  end
  if target and target.map then
    local entry = decode_message(types, target, raw, options, nil, depth + 1)
    list[entry.key] = entry.value
  elseif wire_type == TEXT and expected ~= TEXT then
    get_packed(types, kind, target, raw, options, depth, list)
  else
    list[#list + 1] = value_of(types, kind, target, raw, options, depth)
  end
end

local EMPTY = { string = "", bytes = "", bool = false }

local function default_of(types, field, options)
  local kind, target = kind_of(types, field)
  if kind == "message" then
    return nil
  elseif kind == "enum" then
    local number = field.default and target.by_name[field.default] or target.first or 0
    return not options.enum_as_value and target.by_number[number] or number
  elseif field.default ~= nil then
    if kind == "bool" then
      return tostring(field.default) == "true"
    end
    return EMPTY[kind] == nil and tonumber(field.default) or field.default
  end
  local empty = EMPTY[kind]
  if empty == nil then
    return 0
  end
  return empty
end

-- Adds what a message does not say: in proto3, and where the options want it.
local function add_defaults(types, message, options, out)
  local mode = options.defaults
  if mode == "none" then
    return
  end
  local always = mode == "copy"
  for _, field in ipairs(message.list) do
    if out[field.name] == nil then
      if field.repeated then
        if always or message.proto3 or options.arrays then
          out[field.name] = {}
        end
      elseif not field.oneof and (always or (message.proto3 and not field.presence)) then
        out[field.name] = default_of(types, field, options)
      end
    end
  end
end

decode_message = function(types, message, bytes, options, into, depth)
  if depth > DEEPEST then
    error({ text = "too many nested messages" }, 0)
  end
  local out = into or {}
  local at, last = 1, #bytes
  while at <= last do
    local head, raw
    head, at = get_varint(bytes, at, last)
    head = tonumber(head)
    local wire_type, field = head % 8, message.numbers[floor(head / 8)]
    raw, at = get_raw(bytes, at, last, wire_type)
    if field then
      keep(types, message, field, wire_type, raw, options, out, depth)
    end
  end
  if message.map then
    local value = message.fields.value
    if out.key == nil then
      out.key = default_of(types, message.fields.key, options)
    end
    if out.value == nil then
      out.value = default_of(types, value, options)
      if out.value == nil then
        out.value = {}
      end
    end
    return out
  end
  add_defaults(types, message, options, out)
  if options.hooks and message.hook then
    return message.hook(out)
  end
  return out
end

--- The message of `bytes`. Raises a table with `text` where they are none.
function M.decode(types, message, bytes, options, into)
  return decode_message(types, message, bytes, options, into, 1)
end

--- A table of a message's defaults.
function M.defaults(types, message, options)
  local out = {}
  add_defaults(types, message, setmetatable({ defaults = "copy" }, { __index = options }), out)
  return out
end

return M
