-- XML elements as tables { name, attributes = { {key, value}, ... }, child, ... }; a
-- string child is text.

local ENTITIES = { ["&"] = "&amp;", ["<"] = "&lt;", [">"] = "&gt;", ['"'] = "&quot;", ["'"] = "&apos;" }

-- XML 1.0 has no place for most control characters.
local function escape(text)
  return (tostring(text):gsub("[%z\1-\8\11\12\14-\31]", "?"):gsub("[&<>\"']", ENTITIES))
end

local function write(element, indent, lines)
  local head = { indent, "<", element[1] }
  for _, attribute in ipairs(element.attributes or {}) do
    head[#head + 1] = (' %s="%s"'):format(attribute[1], escape(attribute[2]))
  end
  head = table.concat(head)
  if #element == 1 then
    lines[#lines + 1] = head .. "/>"
  elseif #element == 2 and type(element[2]) == "string" then
    lines[#lines + 1] = head .. ">" .. escape(element[2]) .. "</" .. element[1] .. ">"
  else
    lines[#lines + 1] = head .. ">"
    for i = 2, #element do
      write(element[i], indent .. "\t", lines)
    end
    lines[#lines + 1] = indent .. "</" .. element[1] .. ">"
  end
end

return function(element)
  local lines = { '<?xml version="1.0" encoding="UTF-8"?>' }
  write(element, "", lines)
  return table.concat(lines, "\n") .. "\n"
end
