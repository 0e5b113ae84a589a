"""When a reply shows products: messages of people who want to be shown some and of others who do not, how sure a model
is of each, and the threshold that is fitted to that.
"""
