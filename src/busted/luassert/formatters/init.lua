-- How values look in failure messages.

local assert = require("luassert.assert")
local colors = require("term.colors")
local match = require("luassert.match")
local util = require("luassert.util")

local function number_text(value)
  if value ~= value then return "NaN" end
  if value == math.huge then return "Inf" end
  if value == -math.huge then return "-Inf" end
  return ("%.20g"):format(value)
end

local function plain_text(value)
  if type(value) == "number" then return number_text(value) end
  return tostring(value)
end

local function simple(kind, pattern, text)
  return function(value)
    if type(value) == kind then
      return pattern:format((text or tostring)(value))
    end
  end
end

-- Keys in reading order: list part, other numbers, booleans, strings, then the rest.
local RANK = { number = 1, boolean = 2, string = 3, table = 4, ["function"] = 5, userdata = 6, thread = 7 }

local function sorted_keys(t)
  local length = #t
  local function rank(key)
    if type(key) == "number" and key >= 1 and key <= length and key % 1 == 0 then
      return 0
    end
    return RANK[type(key)] or 8
  end

  local keys = {}
  for key in next, t do
    keys[#keys + 1] = key
  end
  table.sort(keys, function(a, b)
    local rank_a, rank_b = rank(a), rank(b)
    if rank_a ~= rank_b then return rank_a < rank_b end
    local kind = type(a)
    if kind == "number" or kind == "string" then return a < b end
    if kind == "boolean" then return a and not b end
    return tostring(a) < tostring(b)
  end)
  return keys
end

local function mark(character, color)
  for name in (color or "none"):gmatch("[^%.]+") do
    if name ~= "none" then
      character = colors[name](character)
    end
  end
  return character
end

-- "(table: 0x...)", past a metatable's __tostring where that can be done.
local function identity(t)
  local mt = debug.getmetatable(t)
  if mt == nil then
    return "(" .. tostring(t) .. ") "
  elseif rawget(mt, "__metatable") ~= nil then
    return "(table) "
  end
  debug.setmetatable(t, nil)
  local text = "(" .. tostring(t) .. ") "
  debug.setmetatable(t, mt)
  return text
end

local function table_text(t, crumbs)
  local max_level = assert:get_parameter("TableFormatLevel")
  local show_recursion = assert:get_parameter("TableFormatShowRecursion")
  local character = assert:get_parameter("TableErrorHighlightCharacter") or ""
  local marked = mark(character, assert:get_parameter("TableErrorHighlightColor"))
  local open = {}

  local function write(current, level, on_path)
    if show_recursion and open[current] then return "{ ... recursive }" end
    if next(current) == nil then return "{ }" end
    if max_level >= 0 and level > max_level then return "{ ... more }" end

    local was_open = open[current]
    open[current] = true
    local crumb = crumbs[#crumbs - level + 1]
    local lines = { "{" }
    for _, key in ipairs(sorted_keys(current)) do
      local value = rawget(current, key)
      local differs = on_path and crumb ~= nil and key == crumb
      if type(value) == "table" then
        value = write(value, level + 1, differs)
      elseif type(value) == "string" then
        value = "'" .. value .. "'"
      else
        value = plain_text(value)
      end
      local lead = differs and (" "):rep(level * 2 - #character) .. marked or (" "):rep(level * 2)
      lines[#lines + 1] = lead .. "[" .. plain_text(key) .. "] = " .. value
    end
    open[current] = was_open
    return table.concat(lines, "\n") .. " }"
  end

  return write(t, 1, true)
end

local function format_table(value, fmtargs)
  if type(value) == "table" then
    return identity(value) .. table_text(value, fmtargs and fmtargs.crumbs or {})
  end
end

local function format_function(value)
  if type(value) == "function" then
    local info = debug.getinfo(value, "S")
    return ("%s @ line %d in %s"):format(tostring(value), info.linedefined, info.source)
  end
end

local function formatted_list(list, n)
  local texts = {}
  for i = 1, n do
    texts[i] = assert:format({ list[i], n = 1 })[1]
  end
  return table.concat(texts, ", ")
end

local function format_matcher(value)
  if not match.is_matcher(value) then return nil end
  if value.name == "_" then return "(matcher) _ *anything*" end
  return ("(matcher) %s%s(%s)"):format(value.mod and "is." or "no.", tostring(value.name),
    formatted_list(value.arguments, value.arguments.n))
end

local function format_arglist(value)
  if util.is_arglist(value) then
    return "(values list) (" .. formatted_list(value, value.n or #value) .. ")"
  end
end

-- The last one added is asked first.
assert:add_formatter(simple("string", "(string) '%s'"))
assert:add_formatter(simple("number", "(number) %s", number_text))
assert:add_formatter(simple("boolean", "(boolean) %s"))
assert:add_formatter(simple("nil", "(nil)"))
assert:add_formatter(format_table)
assert:add_formatter(format_function)
assert:add_formatter(simple("userdata", "(userdata) '%s'"))
assert:add_formatter(simple("cdata", "(cdata) '%s'"))
assert:add_formatter(simple("thread", "(thread) '%s'"))
assert:add_formatter(format_matcher)
assert:add_formatter(format_arglist)

assert:set_parameter("TableFormatLevel", 3)
assert:set_parameter("TableFormatShowRecursion", false)
assert:set_parameter("TableErrorHighlightCharacter", "*")
assert:set_parameter("TableErrorHighlightColor", "none")
