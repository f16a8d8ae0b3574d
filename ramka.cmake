# SPDX-License-Identifier: MIT
#
# For a kernel that compiles ramka with its own flags:
#
#	include(ramka/ramka.cmake)
#	target_link_libraries(kernel PRIVATE ramka::sources)
#
# RAMKA_SOURCES, RAMKA_INCLUDE_DIR   the core's files, and the folder of its headers
# ramka::sources                     both: the files become part of the target that links to it
#
# A program that uses an installed ramka says find_package(ramka) instead.

set(RAMKA_INCLUDE_DIR "${CMAKE_CURRENT_LIST_DIR}/include")
set(RAMKA_SOURCES "")
file(STRINGS "${CMAKE_CURRENT_LIST_DIR}/lib/meson.build" _ramka_lines)
set(_ramka_on FALSE)
foreach(_ramka_line IN LISTS _ramka_lines)
  if(_ramka_line MATCHES "^ramka_sources = files\\(")
    set(_ramka_on TRUE)
  elseif(_ramka_on AND _ramka_line MATCHES "^ *'(.*\\.c)',")
    list(APPEND RAMKA_SOURCES "${CMAKE_CURRENT_LIST_DIR}/lib/${CMAKE_MATCH_1}")
  elseif(_ramka_on AND _ramka_line MATCHES "^\\)")
    break()
  endif()
endforeach()
# the list is made anew when it changes
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS "${CMAKE_CURRENT_LIST_DIR}/lib/meson.build")

if(NOT TARGET ramka::sources)
  add_library(ramka_sources INTERFACE)
  add_library(ramka::sources ALIAS ramka_sources)
  target_sources(ramka_sources INTERFACE ${RAMKA_SOURCES})
  target_include_directories(ramka_sources INTERFACE "${RAMKA_INCLUDE_DIR}")
endif()
