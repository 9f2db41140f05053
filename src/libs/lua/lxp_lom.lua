-- `lxp.lom` of luaexpat: a whole XML document as tables, an element `{ tag =, attr = {}, ... }` with its
-- children. No document type's entities are expanded, and none are loaded.
--
-- Must not: read anything but the text it is given.

local find, sub, byte, char = string.find, string.sub, string.byte, string.char
local match, gsub = string.match, string.gsub
local tonumber, type = tonumber, type

local NAME = "[%a_:\128-\255][%w_:%.%-\128-\255]*"
local ENTITIES = { amp = "&", lt = "<", gt = ">", quot = '"', apos = "'" }
local DEPTH = 1000

local M = {}

-- raised with the place where it is wrong
local function bad(at, what)
  error({ at = at, what = what }, 0)
end

local function utf8(n)
  if n < 0x80 then
    return char(n)
  elseif n < 0x800 then
    return char(0xc0 + math.floor(n / 0x40), 0x80 + n % 0x40)
  elseif n < 0x10000 then
    return char(0xe0 + math.floor(n / 0x1000), 0x80 + math.floor(n / 0x40) % 0x40, 0x80 + n % 0x40)
  end
  return char(0xf0 + math.floor(n / 0x40000), 0x80 + math.floor(n / 0x1000) % 0x40,
    0x80 + math.floor(n / 0x40) % 0x40, 0x80 + n % 0x40)
end

local function expanded(text, at)
  local stray = find(text, "&", 1, true)
  if not stray then
    return text
  elseif find(gsub(text, "&#?%w[%w_:%.%-]*;", ""), "&", 1, true) then
    bad(at + stray - 1, "not well-formed (invalid token)")
  end
  return (gsub(text, "&(#?)(x?)([^;]*);", function(number, hex, name)
    if number == "" then
      return ENTITIES[hex .. name] or bad(at + stray - 1, "undefined entity")
    end
    local n = tonumber(name, hex == "x" and 16 or 10)
    if not n or n < 1 or n > 0x10ffff or n >= 0xd800 and n < 0xe000 then
      bad(at + stray - 1, "reference to invalid character number")
    end
    return utf8(n)
  end))
end

-- What begins at `at` with one of these ends behind the other; what lies between is passed over.
local SKIPPED = { { "<?", "?>" }, { "<!--", "-->" } }

local function skip(text, at)
  for i = 1, #SKIPPED do
    local from, to = SKIPPED[i][1], SKIPPED[i][2]
    if sub(text, at, at + #from - 1) == from then
      local _, last = find(text, to, at + #from, true)
      return last and last + 1 or bad(at, "unclosed token")
    end
  end
end

-- behind `<!DOCTYPE ...>`, with what it may have in brackets
local function doctype(text, at)
  if sub(text, at, at + 8) ~= "<!DOCTYPE" then
    return nil
  end
  local stop = find(text, "[%[>]", at)
  if stop and byte(text, stop) == 91 then
    stop = find(text, "]", stop, true)
    stop = stop and find(text, ">", stop, true)
  end
  return stop and stop + 1 or bad(at, "unclosed token")
end

-- the attributes of a tag: the table, the place behind them
local function attributes(text, at)
  local attr = {}
  while true do
    local space, last, name, quote = find(text, "^%s+(" .. NAME .. ")%s*=%s*([\"'])", at)
    if not space then
      return attr, match(text, "^%s*()", at)
    end
    local stop = find(text, quote, last + 1, true) or bad(at, "unclosed token")
    local value = sub(text, last + 1, stop - 1)
    if find(value, "<", 1, true) then
      bad(last + 1, "not well-formed (invalid token)")
    elseif attr[name] then
      bad(space, "duplicate attribute")
    end
    attr[#attr + 1], attr[name] = name, expanded(gsub(value, "[\t\r\n]", " "), last + 1)
    at = stop + 1
  end
end

local function add_text(element, text)
  local n = #element
  if text ~= "" then
    if type(element[n]) == "string" then
      element[n] = element[n] .. text
    else
      element[n + 1] = text
    end
  end
end

-- a tag at `at`: the place behind it, and the element that is open then (nil behind the last)
local function tag(text, at, open, root)
  local _, last, name = find(text, "^</(" .. NAME .. ")%s*>", at)
  if last then
    if not open or open.tag ~= name then
      bad(at + 2, "mismatched tag")
    end
    root.depth = root.depth - 1
    return last + 1, root.above[open]
  end
  _, last, name = find(text, "^<(" .. NAME .. ")", at)
  if not last then
    bad(at + 1, find(text, ">", at, true) and "not well-formed (invalid token)" or "unclosed token")
  end
  local element = { tag = name }
  element.attr, at = attributes(text, last + 1)
  local close, stop = match(text, "^(/?)>()", at)
  if not close then
    bad(at, find(text, ">", at, true) and "not well-formed (invalid token)" or "unclosed token")
  end
  if open then
    open[#open + 1] = element
  else
    root.element = element
  end
  if close == "/" then
    return stop, open
  end
  root.depth = root.depth + 1
  root.above[element] = open
  return stop, element
end

local function read(text)
  text = gsub(gsub(text, "^\239\187\191", ""), "\r\n?", "\n")
  local root, open, at = { above = {}, depth = 0 }, nil, 1
  while at <= #text do
    local stop = find(text, "<", at, true) or #text + 1
    local said = sub(text, at, stop - 1)
    if open then
      add_text(open, expanded(said, at))
    elseif find(said, "%S") then
      local what = root.element and "junk after document element" or "not well-formed (invalid token)"
      bad(find(text, "%S", at), what)
    end
    at = stop
    if at > #text then
      break
    elseif open and sub(text, at, at + 8) == "<![CDATA[" then
      local first, last = find(text, "]]>", at + 9, true)
      add_text(open, sub(text, at + 9, (first or bad(at, "unclosed CDATA section")) - 1))
      at = last + 1
    else
      local behind = skip(text, at) or not root.element and doctype(text, at)
      if behind then
        at = behind
      elseif root.element and not open then
        bad(at, "junk after document element")
      else
        at, open = tag(text, at, open, root)
        if root.depth > DEPTH then
          bad(at, "out of memory")
        end
      end
    end
  end
  if open or not root.element then
    bad(#text + 1, "no element found")
  end
  return root.element
end

--- The document in a text, or in the pieces that a function, a table or a file gives; nil, what is wrong,
--- line, column and place otherwise.
function M.parse(source)
  local text = source
  if type(source) == "table" then
    text = table.concat(source)
  elseif type(source) == "function" then
    local pieces = {}
    for piece in source do
      pieces[#pieces + 1] = piece
    end
    text = table.concat(pieces)
  elseif type(source) ~= "string" then
    text = source:read("*a")
  end
  local ok, got = pcall(read, text)
  if ok then
    return got
  elseif type(got) ~= "table" then
    error(got, 0)
  end
  local before = sub(text, 1, got.at - 1)
  local _, lines = gsub(before, "\n", "")
  return nil, got.what, lines + 1, #match(before, "[^\n]*$") + 1, got.at
end

--- The first element of this name, by depth: the element itself or one below it.
function M.find_elem(element, name)
  if element.tag == name then
    return element
  end
  for i = 1, #element do
    local found = type(element[i]) == "table" and M.find_elem(element[i], name)
    if found then
      return found
    end
  end
end

--- Iterates over the child elements, or those of this name.
function M.list_children(element, name)
  local i = 0
  return function()
    while i < #element do
      i = i + 1
      local child = element[i]
      if type(child) == "table" and (not name or child.tag == name) then
        return child
      end
    end
  end
end

return M
