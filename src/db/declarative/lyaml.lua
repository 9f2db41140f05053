-- `lyaml`: YAML text to tables and back. Reading is Rust's (`moongate.ops`.yaml); writing is here, in block style.

local ops = require("moongate.ops").yaml

local array_mt = require("cjson").array_mt
local null_pointer = require("cjson").null

local concat, sort = table.concat, table.sort
local type, tostring, find, rep = type, tostring, string.find, string.rep

local M = { _VERSION = "6.2.8" }

--- What `null` is read as: an empty table of its own kind.
M.null = setmetatable({}, { _type = "LYAML null", __tostring = function() return "LYAML null" end })

-- Puts `lyaml.null` where the reader left the null pointer.
local function with_nulls(value)
  if value == null_pointer then
    return M.null
  elseif type(value) == "table" then
    for k, v in pairs(value) do
      if v == null_pointer then
        value[k] = M.null
      elseif type(v) == "table" then
        with_nulls(v)
      end
    end
  end
  return value
end

--- The first document of a text with `ngx.null` for null; nil and what is wrong otherwise.
function M.read(text)
  local documents, err = ops.load(text)
  if not documents then
    return nil, err
  end
  return documents[1]
end

--- The first document of a text, all of them with `opts` true or `{ all = true }`; raises what is wrong.
function M.load(text, opts)
  if type(text) == "number" then
    text = tostring(text)
  elseif type(text) ~= "string" then
    error("bad argument #1 to 'load' (string expected, got " .. type(text) .. ")", 2)
  end
  local documents, err = ops.load(text)
  if not documents then
    error(err, 0)
  end
  with_nulls(documents)
  if opts == true or type(opts) == "table" and opts.all then
    return documents
  end
  return documents[1]
end

local escapes = {
  ["\\"] = "\\\\", ['"'] = '\\"', ["\n"] = "\\n", ["\r"] = "\\r", ["\t"] = "\\t", ["\0"] = "\\0",
}

local function text(value)
  if find(value, "%c") then
    return '"' .. value:gsub('[%c\127"\\]', function(c)
      return escapes[c] or ("\\x%02X"):format(c:byte())
    end) .. '"'
  end
  local plain = ops.is_plain(value)
    and not find(value, "^[%s%-?:,%[%]{}#&*!|>'\"%%@`=<]")
    and not find(value, "%s$")
    and not find(value, ": ", 1, true)
    and not find(value, " #", 1, true)
    and not find(value, ":$")
  return plain and value or "'" .. value:gsub("'", "''") .. "'"
end

local function scalar(value)
  if value == M.null or value == null_pointer then
    return "~"
  elseif type(value) == "string" then
    return text(value)
  elseif type(value) == "number" then
    if value ~= value then
      return ".nan"
    elseif value == math.huge or value == -math.huge then
      return value > 0 and ".inf" or "-.inf"
    end
    local short = ("%.14g"):format(value)
    return tonumber(short) == value and short or ("%.17g"):format(value)
  elseif type(value) == "boolean" then
    return tostring(value)
  end
  error("cannot dump object of type '" .. type(value) .. "'", 0)
end

local function by_name(a, b)
  local ta, tb = type(a), type(b)
  if ta ~= tb then
    return ta < tb
  elseif ta == "boolean" then
    return b and not a
  end
  return a < b
end

local MAX_DEPTH = 100

local emit

-- `lead` is what stands before the value on its line; a nested block starts on the next one.
local function emit_fields(out, value, indent, inline, depth)
  local keys = {}
  for k in pairs(value) do
    keys[#keys + 1] = k
  end
  sort(keys, by_name)
  for i = 1, #keys do
    if i > 1 or not inline then
      out[#out + 1] = rep(" ", indent)
    end
    out[#out + 1] = scalar(keys[i])
    out[#out + 1] = ":"
    emit(out, value[keys[i]], indent, false, depth + 1)
  end
end

local function emit_items(out, value, indent, inline, depth)
  for i = 1, #value do
    if i > 1 or not inline then
      out[#out + 1] = rep(" ", indent)
    end
    out[#out + 1] = "-"
    emit(out, value[i], indent, true, depth + 1)
  end
end

function emit(out, value, indent, in_list, depth)
  if type(value) ~= "table" or value == M.null then
    out[#out + 1] = " " .. scalar(value) .. "\n"
  elseif depth > MAX_DEPTH then
    error("cannot dump: nested too deeply", 0)
  elseif next(value) == nil then
    out[#out + 1] = getmetatable(value) == array_mt and " []\n" or " {}\n"
  elseif #value > 0 then
    out[#out + 1] = in_list and " " or "\n"
    emit_items(out, value, in_list and indent + 2 or indent, in_list, depth)
  else
    out[#out + 1] = in_list and " " or "\n"
    emit_fields(out, value, indent + 2, in_list, depth)
  end
end

--- The YAML stream of a list of documents.
function M.dump(documents)
  local out = {}
  for i = 1, #documents do
    local document = documents[i]
    if type(document) ~= "table" or document == M.null or next(document) == nil then
      out[#out + 1] = "---"
      emit(out, document, 0, false, 0)
    elseif #document > 0 then
      out[#out + 1] = "---\n"
      emit_items(out, document, 0, false, 0)
    else
      out[#out + 1] = "---\n"
      emit_fields(out, document, 0, false, 0)
    end
    out[#out + 1] = "...\n"
  end
  return concat(out)
end

return M
